import type { Messages } from './en';

export const connection: Messages['connection'] = {
  heading: '检查我的连接',
  text: 'Ahoy 会逐项检查通话所需的条件，告诉你哪里受阻、怎样解决。不会呼叫任何人。',
  begin: '开始检查',
  again: '再次检查',
  stop: '停止',
  offer: '检查我的连接',
  running: '最多需要半分钟。',
  alsoFound: '其他发现',
  details: '详细信息',
  copy: '复制报告',
  copyHint: '可发给帮助你的人。报告包含你的网络地址，不含密码。',
  copyFailed: '此处不允许复制。',
  conclusions: {
    no_network: {
      title: '没有连接网络',
      text: '请用 Wi-Fi 或网线连接这台电脑，并关闭飞行模式。',
    },
    clock_wrong: {
      title: '这台电脑的时间不对',
      text: (off) => `时间${off}，因此 Ahoy 无法确认服务器的真伪。请让系统自动设置时间。`,
    },
    name_server_silent: {
      title: '查不到服务器的地址',
      text: '你的网络没有回应域名查询。请看看网页能否打开；如果也打不开，请重启路由器。',
    },
    name_unknown: {
      title: '没有这个服务器',
      text: (name) => `查无此名：${name}。请检查有没有输错，或询问给你地址的人。`,
    },
    captive_portal: {
      title: '这个网络要求先登录',
      text: '请打开浏览器，在出现的页面上登录或点击同意。',
    },
    proxy_refuses: {
      title: '代理不让 Ahoy 通过',
      text: (proxy) => `系统让 Ahoy 经由 ${proxy} 连接。请代理的管理员放行服务器，或在系统设置中更改代理。`,
    },
    server_down: {
      title: '服务器没有运行',
      text: (server) => `${server} 的主机在线，但没有服务应答。请稍后重试，或告诉服务器管理员。`,
    },
    server_blocked: {
      title: '服务器没有应答',
      text: (server) =>
        `${server} 没有任何回应。请换一个网络试试，例如手机热点：如果可以，说明当前网络拦截了服务器。`,
    },
    server_unwell: {
      title: '服务器出了问题',
      text: (server) => `${server} 自己报告了故障。请稍后重试，或告诉服务器管理员。`,
    },
    certificate_expired: {
      title: '服务器的证书已过期',
      text: (server) => `没有有效的证书，就无法确认对方真的是 ${server}。请通知服务器管理员更新证书。`,
    },
    certificate_name: {
      title: '服务器用的是另一个名字',
      text: (server) => `${server} 的证书属于另一个地址。请核对收到的地址，或告诉服务器管理员。`,
    },
    certificate_untrusted: {
      title: '服务器无法证明身份',
      text: (server) =>
        `这台电脑信任的机构都没有为 ${server} 担保，可能有人在窃听。请先询问服务器管理员，再从这个网络登录。`,
    },
    not_ahoy: {
      title: '这不是 Ahoy 服务器',
      text: (server) => `在 ${server} 应答的是别的程序。请检查有没有输错，或询问给你地址的人。`,
    },
    signed_out: {
      title: '此设备已被登出',
      text: '重新登录后才能拨打和接听。',
    },
    signaling_fails: {
      title: '服务器有应答，但无法建立通话',
      text: '可能是这个网络的过滤设备在阻拦。请换一个网络，或稍后重试。',
    },
    relay_refuses_credentials: {
      title: '中继不让你进入',
      text: '服务器和它的中继密码不一致。只有管理员能修复，请告诉他们。',
    },
    relay_refuses: {
      title: '中继拒绝了你',
      text: '请结束其他通话后再次检查。如果仍然如此，请告诉服务器管理员：中继已满或设置有误。',
    },
    relay_down: {
      title: '中继没有应答',
      text: '只有能直接连通的通话才能接通。请换一个网络；如果还是一样，请告诉服务器管理员。',
    },
    no_relay: {
      title: '服务器没有中继',
      text: '只有能直接连通的通话才能接通。请让服务器管理员开启中继。',
    },
    relay_passes_nothing: {
      title: '中继没有转发任何内容',
      text: '中继有应答，但声音和画面传不过去。请让服务器管理员开放中继的端口。',
    },
    relay_lossy: {
      title: '途中丢失太多',
      text: (share) => `经过中继的数据有 ${share} 没有送达。请改用网线或靠近 Wi-Fi，并暂停下载。`,
    },
    relay_only_tls: {
      title: '这个网络只允许上网页',
      text: '可以通话，但可能有延迟。换一个网络，或让防火墙放行 UDP，会更流畅。',
    },
    udp_one_way: {
      title: '最快的通话路径只通一半',
      text: '可以通话，但可能有延迟。如果防火墙由你管理，请允许 UDP 的回应进入。',
    },
    udp_blocked: {
      title: '最快的通话路径不通',
      text: '可以通话，但可能有延迟。换一个网络，或让防火墙放行 UDP，会更流畅。',
    },
    relay_slow: {
      title: '经过中继的路太远',
      text: (delay) => `单程需要 ${delay}，双方容易抢话。换一个网络可能更快。`,
    },
    ipv6_broken: {
      title: 'IPv6 不通',
      text: '通话会改用 IPv4，接通可能稍慢。请重启路由器；如果没有改善，请在路由器中关闭 IPv6。',
    },
    nat_symmetric: {
      title: '你的路由器不利于直接通话',
      text: '很多通话只能经过中继。如果路由器归你管理，请在设置中找“全锥形 NAT”，或开启 IPv6。',
    },
    clock_off: {
      title: '这台电脑的时间有偏差',
      text: (off) => `时间${off}。通话不受影响，建议让系统自动设置时间。`,
    },
    not_signed_in: {
      title: '尚未登录',
      text: '服务器有应答。登录后才能检查声音和画面的传输路径。',
    },
    all_well: {
      title: '一路畅通',
      text: '没有什么会妨碍你的通话接通。',
    },
  },
  severities: {
    calls_impossible: '无法接通通话',
    some_calls_fail: '部分通话会失败',
    calls_work_less_well: '可以通话，但不够顺畅',
    note: '供你参考',
  },
  checks: {
    name: '服务器名称',
    server: '服务器',
    clock: '时间',
    session: '登录',
    udp: '直接路径（UDP）',
    relays: '中继',
    nat: '路由器和防火墙',
    path: '通话的最佳路径',
    call: '经过中继的通话',
  },
  standings: {
    waiting: '等待中',
    running: '正在检查…',
    skipped: '未检查',
    good: '良好',
    partly: '部分正常',
    bad: '异常',
    unknown: '未知',
  },
  paths: {
    direct: '直达对方',
    relay_udp: '经过中继（UDP）',
    relay_tcp: '经过中继（TCP）',
    relay_tls: '经过中继（TLS）',
    none: '没有可用路径',
  },
  relays: { unreachable: '无法连接', silent: '没有应答', refused: '被拒绝' },
  routers: {
    none: '不改变地址',
    endpoint_independent: '适合直接通话',
    port_independent: '适合直接通话',
    address_dependent: '不利于直接通话',
    address_and_port_dependent: '不利于直接通话',
    unknown: '无法判断',
  },
  ahead: (span) => `快了${span}`,
  behind: (span) => `慢了${span}`,
  right: '误差不到一秒',
  answers: (time) => `${time}内应答`,
  ready: (time) => `${time}内就绪`,
  proxy: (proxy) => `经由 ${proxy}`,
  noAnswer: '没有应答',
  of: (what, reading) => `${what}：${reading}`,
  lost: (share) => `丢失 ${share}`,
  delay: (time) => `延迟 ${time}`,
  jitter: (time) => `抖动 ${time}`,
  apart: '两端没有找到对方',
};
