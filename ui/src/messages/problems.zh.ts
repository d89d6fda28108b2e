import type { ProblemWords } from './problems';

export const problems: ProblemWords = {
  camera_missing: {
    title: '没有找到摄像头',
    text: '接上摄像头后会立即使用。没有摄像头时，别人仍能听到你，你也能看到别人。',
  },
  camera_not_connected: {
    title: '你的摄像头未连接',
    text: '请接上所选的摄像头，或选择另一个。',
  },
  camera_busy: {
    title: '摄像头正被占用',
    text: (camera) => `另一个程序正在使用${camera}。请关闭该程序，或选择另一个摄像头。`,
  },
  camera_denied: {
    title: '没有使用摄像头的权限',
    text: (camera) => `请在系统的隐私设置中允许 Ahoy 使用${camera}，然后重试。`,
  },
  camera_lost: {
    title: '摄像头已断开',
    text: (camera) => `重新接上${camera}后，画面会自动恢复。`,
  },
  camera_stalled: {
    title: '摄像头没有画面',
    text: (camera) => `Ahoy 会继续尝试。如果一直没有画面，请拔下${camera}再重新接上。`,
  },
  camera_unusable: {
    title: '摄像头无法使用',
    text: (camera) => `请拔下${camera}再重新接上，或选择另一个摄像头。`,
  },
  microphone_missing: {
    title: '没有找到麦克风',
    text: '接上麦克风后会立即使用。没有麦克风时，别人能看到你，但听不到你。',
  },
  microphone_not_connected: {
    title: '你的麦克风未连接',
    text: '请接上所选的麦克风，或选择另一个。',
  },
  microphone_busy: {
    title: '麦克风正被占用',
    text: (microphone) => `另一个程序独占了${microphone}。请关闭该程序，或选择另一个麦克风。`,
  },
  microphone_denied: {
    title: '没有使用麦克风的权限',
    text: (microphone) => `请在系统的隐私设置中允许 Ahoy 使用${microphone}，然后重试。`,
  },
  microphone_lost: {
    title: '麦克风已断开',
    text: (microphone) => `请重新接上${microphone}，或选择另一个麦克风。没有麦克风时别人听不到你。`,
  },
  microphone_stalled: {
    title: '麦克风没有声音',
    text: (microphone) => `请拔下${microphone}再重新接上，或选择另一个麦克风。`,
  },
  microphone_unusable: {
    title: '麦克风无法使用',
    text: (microphone) => `请拔下${microphone}再重新接上，或选择另一个麦克风。`,
  },
  speaker_missing: {
    title: '没有找到扬声器',
    text: '请接上耳机或音箱，否则你听不到别人的声音。',
  },
  speaker_not_connected: {
    title: '你的扬声器未连接',
    text: '请接上所选的扬声器，或选择另一个。',
  },
  speaker_busy: {
    title: '扬声器正被占用',
    text: (speaker) => `另一个程序独占了${speaker}。请关闭该程序，或选择另一个扬声器。`,
  },
  speaker_denied: {
    title: '没有使用扬声器的权限',
    text: (speaker) => `请在系统的声音设置中允许 Ahoy 使用${speaker}，然后重试。`,
  },
  speaker_lost: {
    title: '扬声器已断开',
    text: (speaker) => `请重新接上${speaker}，或选择另一个扬声器。没有扬声器时你听不到别人。`,
  },
  speaker_stalled: {
    title: '扬声器没有声音',
    text: (speaker) => `请拔下${speaker}再重新接上，或选择另一个扬声器。`,
  },
  speaker_unusable: {
    title: '扬声器无法使用',
    text: (speaker) => `请拔下${speaker}再重新接上，或选择另一个扬声器。`,
  },
  sound_system_missing: {
    title: '声音系统没有响应',
    text: '请启动 PulseAudio 或 PipeWire，或重新登录。在此之前没有任何声音。',
  },
  clip_unusable: {
    title: '无法播放视频文件',
    text: '请选择另一个文件，或使用摄像头。',
  },
  sound_file_unusable: {
    title: '无法播放声音文件',
    text: '请选择另一个文件，或使用麦克风。',
  },
  video_ended: {
    title: '摄像头停止了工作',
    text: '它的驱动程序出错了。请重试，或拔下摄像头再重新接上。',
  },
  recording: {
    title: '录制不完整',
    text: '请检查磁盘空间，以及你是否有写入权限。',
  },
  no_threads: {
    title: '电脑太忙了',
    text: '请关闭一些程序后重试。',
  },
  not_connected: {
    title: '无法建立连接',
    text: 'Ahoy 无法连接到自己。请检查防火墙是否阻止了本机与自身通信。',
  },
  no_relay: {
    title: '没有可用的中继',
    text: '你选择了对他人隐藏地址，这需要中继，而你的服务器没有可用的中继。请在设置中关闭该选项，或联系服务器的管理者。',
  },
  connection_lost: {
    title: '连接已中断',
    text: '请挂断后重新呼叫。如果经常发生，请检查网络。',
  },
  signaling: {
    title: '通话双方无法协商',
    text: '请挂断后重新呼叫。',
  },
  no_media: {
    title: '没有收到任何内容',
    text: '连接已建立，但画面和声音都没有传到。可能被防火墙拦截了。',
  },
  no_pictures: {
    title: '没有画面',
    text: '摄像头已打开，但没有画面。请拔下再重新接上，或选择另一个。',
  },
  no_sound: {
    title: '没有声音',
    text: '麦克风已打开，但没有声音。请选择另一个。',
  },
  slow_setup: {
    title: '接通用时较长',
    text: '电脑比较忙。请关闭一些程序后重新呼叫。',
  },
  frames_lost: {
    title: '丢失了一些画面',
    text: '电脑或网络太慢。请关闭一些程序，或选择较小的画面尺寸。',
  },
  low_frame_rate: {
    title: '画面不够流畅',
    text: '实际帧率低于要求。光线充足有助于摄像头，较小的画面有助于电脑。',
  },
  freezes: {
    title: '画面有时卡住',
    text: '请关闭一些程序，或选择较小的画面尺寸。',
  },
  poor_picture: {
    title: '画面模糊',
    text: '码率不足以保留细节。请选择较小的画面尺寸。',
  },
  high_latency: {
    title: '画面延迟较高',
    text: '电脑比较忙。请关闭一些程序，或选择较小的画面尺寸。',
  },
  sound_gaps: {
    title: '声音有中断',
    text: '部分声音太迟或没有到达。请关闭一些程序后重新呼叫。',
  },
  lip_sync: {
    title: '声音和画面不同步',
    text: '无线耳机会延迟声音：请换一副耳机，或关闭一些程序。',
  },
  call_failed: {
    title: '通话无法开始',
    text: '请关闭一些程序后重试。如果仍然不行，请重新启动 Ahoy。',
  },
  call_running: {
    title: '正在通话中',
    text: '请先挂断：摄像头和麦克风正用于通话。',
  },
  no_call: {
    title: '没有通话',
    text: '通话刚刚结束。请重新开始。',
  },
  settings_not_kept: {
    title: '无法保存设置',
    text: '请检查磁盘空间，以及你是否可以写入设置文件夹。',
  },
  name_refused: {
    title: '无法使用这个名字',
    text: '名字最多 80 个字符，且只能有一行。请换一个短一点的。',
  },
  handle_refused: {
    title: '这个账号名不能使用',
    text: '账号名由 2 到 32 个小写字母、数字、点、短横线或下划线组成，例如 grace.hopper。',
  },
  password_refused: {
    title: '这个密码不能使用',
    text: '密码至少 8 个字符，用一句话就很好。',
  },
  address_refused: {
    title: '这不是服务器地址',
    text: '地址形如 https://call.example.org。请向服务器管理员询问。',
  },
  server_unreachable: {
    title: '无法连接服务器',
    text: '请检查网络和服务器地址，然后重试。',
  },
  server_refused: {
    title: '服务器不允许此操作',
    text: '请稍后再试，或询问服务器管理员。',
  },
  wrong_credentials: {
    title: '账号名或密码错误',
    text: '请检查两者。如果忘记密码，可以使用恢复码登录。',
  },
  handle_taken: {
    title: '这个账号名已被使用',
    text: '请换一个；如果它是你的，请直接登录。',
  },
  sign_up_closed: {
    title: '此服务器不接受新用户',
    text: '请联系服务器管理员。',
  },
  too_often: {
    title: '尝试次数过多',
    text: '请等一分钟再试。',
  },
  nobody_found: {
    title: '没有找到此人',
    text: '请检查账号名，必须与对方告诉你的完全一致。',
  },
  sign_in_not_kept: {
    title: '无法保存登录状态',
    text: 'Ahoy 把它保存在系统密钥环中。请解锁密钥环，然后重试。',
  },
  not_signed_in: {
    title: '你还没有登录',
    text: '请先登录，然后重试。',
  },
  history_unusable: {
    title: '无法保存消息',
    text: 'Ahoy 无法在此电脑上读写历史记录。请检查磁盘空间，然后重新启动 Ahoy。',
  },
  message_refused: {
    title: '无法发送此消息',
    text: '请输入内容，且一次不要超过几页。',
  },
  link_refused: {
    title: '这不是邀请链接',
    text: '请复制完整链接（从 https:// 到末尾），然后重试。',
  },
  room_full: {
    title: '通话人数已满',
    text: '等有人离开后再试。',
  },
  room_locked: {
    title: '通话已不再允许加入',
    text: '请让邀请你的人重新开放加入。',
  },
  host_unusable: {
    title: '这台电脑无法主持通话',
    text: '请检查磁盘空间，并确认没有其他程序占用端口 7447 到 7456。',
  },
  network_unasked: {
    title: '别人无法自动找到此通话',
    text: '无法在网络中公布。请把链接发给他们，或让他们扫码。',
  },
  h264_plugin_missing: {
    title: '缺少视频插件',
    text: '通话可以进行，但会占用更多处理器：系统的网页视图不支持 H.264，画面由 Ahoy 自行解码。请安装软件包 gstreamer1.0-libav，然后重新启动 Ahoy。',
  },
  transfers_unusable: {
    title: '无法发送或接收文件',
    text: '无法在此电脑上记录传输：可能另一个 Ahoy 正在使用，或磁盘已满。请关闭另一个或腾出空间，然后重新启动 Ahoy。',
  },
  no_transfer: {
    title: '此传输已不存在',
    text: '它已结束或已被移除。',
  },
  nothing_picked: {
    title: '没有选择要发送的内容',
    text: '请选择文件或文件夹，或把它们拖到窗口上。',
  },
  nothing_to_send: {
    title: '其中没有可发送的内容',
    text: '链接、设备以及无法读取的内容不会发送。请检查你是否有权读取这些文件。',
  },
  too_many_files: {
    title: '一次传输放不下这么多',
    text: '请逐个发送文件夹，或先打包成一个压缩文件。',
  },
  folder_missing: {
    title: '没有可用的文件夹',
    text: '请在设置的“通用”页选择存放收到文件的文件夹。',
  },
  invite_invalid: {
    title: '此邀请已失效',
    text: '它已过期、已用完或已被撤回。请索取新的链接。',
  },
  camera_denied_by_browser: {
    title: '无法使用摄像头',
    text: '请在浏览器地址栏中允许使用，然后重试。',
  },
  microphone_denied_by_browser: {
    title: '无法使用麦克风',
    text: '请在浏览器地址栏中允许使用，然后重试。',
  },
  browser_without_h264: {
    title: '此浏览器无法显示画面',
    text: '它不支持 H.264，因此只有声音。换一个浏览器即可看到画面。',
  },
  no_shell: {
    title: '此功能需要桌面程序',
    text: '你正在浏览器中查看 Ahoy 的窗口。请用此命令启动程序：cargo xtask run --window',
  },
  no_answer: {
    title: 'Ahoy 没有响应',
    text: '此窗口背后的程序已停止。请关闭窗口，然后重新启动 Ahoy。',
  },
};
