// Every word of the page in both languages. t("phase.on") · t("ran", 12)
const WORDS = {
  en: {
    title: "Home", other: "中文", connected: "live", lost: "The connection is lost. What you see may be old; trying again …",
    gone: "not reachable", say: "Say it as to the speaker", speak: "Say", happened: "What happened, and why", nothing: "Nothing yet.",
    on: "On", off: "Off", turnOn: "Turn on", turnOff: "Turn off", light_off: "Music only", light_on: "Picture back",
    volume: "Volume", mute: "Mute", unmute: "Sound on", louder: "Louder", quieter: "Quieter", inputs: "Inputs", apps: "Apps", remote: "Remote",
    waiting: "Waits for the boot", mains: "mains", why: "Why",
    ok: "OK", up: "Up", down: "Down", left: "Left", right: "Right", back: "Back", home: "Home", menu: "Menu", play_pause: "Play or pause",
    "phase.off": "Off", "phase.waking": "Waking up …", "phase.booting": "Starting …", "phase.on": "On", "phase.light_off": "Music, light off",
    "phase.cooling": "Cooling down …", "phase.cut": "Off, mains cut", "phase.unknown": "Nobody knows: neither on nor off is certain",
    "pump.idle": "Ready", "pump.starting": "Starting …", "pump.running": "Hot water is coming", "pump.stopping": "Stopping …",
    "pump.resting": "Resting", "pump.locked_out": "Locked for safety",
    hot: "Hot water", warm: "until warm", minutes: n => `${n} min`, stop: "Stop", reset: "I have checked it: unlock", locked: "It stopped for safety.",
    today: s => `${Math.round(s / 60)} min today`, starts: n => `${n} ${n === 1 ? "start" : "starts"} this hour`, last: (s, why) => `Last run ${time(s)}${why ? ": " + why : ""}`,
    there: what => `${what} connected`.trim(), away: what => `${what} connection lost`.trim(), sending: "Sending …", unheard: "Not heard: no connection",
    "say.accepted": "On its way", "say.done": "Done", "say.refused": "Refused", "say.failed": "Failed", "say.expired": "Too late",
    "say.duplicate": "Already heard", "say.busy": "Too busy", "say.superseded": "Something newer came",
    "kind.heard": "heard", "kind.nonsense": "nonsense", "kind.due": "timetable", "kind.decided": "decided", "kind.refused": "refused", "kind.sent": "sent",
    "kind.confirmed": "confirmed", "kind.failed": "failed", "kind.answered": "answered", "kind.announced": "said", "kind.changed": "changed",
    "do.power on": "turn on", "do.power off": "turn off", "do.power light_off": "music only", "do.power light_on": "picture back", "do.mute on": "mute",
    "do.mute off": "sound on", "do.run": "hot water", "do.stop": "stop", "do.reset": "unlock", "do.on": "on", "do.off": "off", from: (what, way) => `“${what}” from ${way}`,
  },
  zh: {
    title: "家", other: "English", connected: "已连接", lost: "连接断开，显示的可能不是最新状态，正在重连…",
    gone: "连接不上", say: "像对小爱一样说一句", speak: "说", happened: "发生了什么，为什么", nothing: "还没有记录。",
    on: "开", off: "关", turnOn: "打开", turnOff: "关闭", light_off: "只听音乐", light_on: "恢复画面",
    volume: "音量", mute: "静音", unmute: "取消静音", louder: "大声", quieter: "小声", inputs: "信号源", apps: "应用", remote: "遥控器",
    waiting: "等开机后执行", mains: "插座", why: "原因",
    ok: "OK", up: "上", down: "下", left: "左", right: "右", back: "返回", home: "主页", menu: "菜单", play_pause: "播放/暂停",
    "phase.off": "已关", "phase.waking": "正在唤醒…", "phase.booting": "正在开机…", "phase.on": "已开", "phase.light_off": "听音乐，已熄屏",
    "phase.cooling": "正在散热…", "phase.cut": "已关，已断电", "phase.unknown": "状态未知，开关都不确定",
    "pump.idle": "就绪", "pump.starting": "正在启动…", "pump.running": "热水正在来", "pump.stopping": "正在停止…",
    "pump.resting": "休息中", "pump.locked_out": "已安全锁定",
    hot: "热水", warm: "到热为止", minutes: n => `${n} 分钟`, stop: "停止", reset: "我检查过了，解除锁定", locked: "为安全已停止。",
    today: s => `今天 ${Math.round(s / 60)} 分钟`, starts: n => `本小时启动 ${n} 次`, last: (s, why) => `上次运行 ${time(s)}${why ? "，" + why : ""}`,
    there: what => `${what} 已连接`.trim(), away: what => `${what} 连接断开`.trim(), sending: "正在发送…", unheard: "没有听到：连接不上",
    "say.accepted": "正在执行", "say.done": "完成", "say.refused": "不能执行", "say.failed": "没有成功", "say.expired": "太晚了",
    "say.duplicate": "已经听到过", "say.busy": "太忙了", "say.superseded": "被新的命令代替",
    "kind.heard": "听到", "kind.nonsense": "听不懂", "kind.due": "定时", "kind.decided": "决定", "kind.refused": "拒绝", "kind.sent": "发出",
    "kind.confirmed": "确认", "kind.failed": "失败", "kind.answered": "回答", "kind.announced": "播报", "kind.changed": "变化",
    "do.power on": "打开", "do.power off": "关闭", "do.power light_off": "只听音乐", "do.power light_on": "恢复画面", "do.mute on": "静音", "do.mute off": "取消静音",
    "do.run": "来热水", "do.stop": "停止", "do.reset": "解除锁定", "do.on": "开", "do.off": "关", "do.volume": "音量", "do.input": "信号源", "do.app": "应用", "do.key": "按键",
    from: (what, way) => `「${what}」，来自 ${way}`,
  },
};

let stored = null;
try { stored = localStorage.getItem("language"); } catch { /* private mode forgets */ }
export let language = WORDS[stored] ? stored : navigator.language.startsWith("zh") ? "zh" : "en";

export function switchLanguage() {
  language = language === "zh" ? "en" : "zh";
  try { localStorage.setItem("language", language); } catch { /* then it lasts until reload */ }
}

export function t(key, ...values) {
  const word = WORDS[language][key];
  return typeof word === "function" ? word(...values) : word ?? values[0] ?? key;
}

export const time = s => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;

/** A command as a person says it: "power on" → 打开, "run 3m" → 来热水 3m. */
export function spoken(text) {
  const [verb, ...rest] = text.split(" ");
  return WORDS[language][`do.${text}`] ?? [t(`do.${verb}`, verb), ...rest].join(" ");
}

/** A sentence of the core in the household's language: why and why_zh, locked and locked_zh … */
export const said = (state, key) => String((language === "zh" && state[`${key}_zh`]) || state[key] || "");
