import type { Messages } from './en';

export const zh: Messages = {
  welcome: {
    early: '早期版本',
    heading: 'Ahoy！视频通话即将到来。',
    introduction:
      'Ahoy 是一款桌面视频通话应用。当前版本可以呼叫自己，以验证从摄像头到扬声器的每个环节都能正常工作。接下来就能与他人通话。',
  },
  today: {
    heading: '现在可用',
    title: '在终端里进行测试通话',
    explanation: 'Ahoy 通过真实的加密连接呼叫自己，并报告所见所闻：画质、声音、延迟和丢帧。',
    commandLabel: '在 Ahoy 源代码所在的文件夹中运行',
  },
  next: {
    heading: '即将推出',
    steps: [
      { title: '在此窗口中测试通话', text: '看得见、听得到，还能选择摄像头和麦克风。' },
      { title: '与他人通话', text: '桌面之间，或与使用浏览器的任何人。' },
      { title: '随处通话', text: '穿过家用路由器、防火墙和不佳的网络。' },
      { title: '文件', text: '直接发送给对方，不影响通话。' },
    ],
  },
  copy: {
    action: '复制',
    done: '已复制',
    failed: '此处不允许复制。请选中命令并按 Ctrl+C。',
  },
  about: {
    label: '关于本程序',
    loading: '正在查询版本…',
    version: (version) => `版本 ${version}`,
    webview: (version) => `网页视图 ${version}`,
    unknownWebview: '系统网页视图的版本未知。如果显示异常，请重新安装它。',
    unknown: 'Ahoy 没有响应。请关闭此窗口后重新启动。',
  },
};
