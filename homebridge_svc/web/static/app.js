// The page: one message after the other comes in, cards and timeline are brought up to date.
import { $, put, show } from "./dom.js";
import { t, language, switchLanguage } from "./strings.js";
import { send, watch } from "./link.js";
import { makers } from "./cards.js";
import { take, draw } from "./timeline.js";

const ORDER = ["projector", "pump", "sensor", "plug"];
let cards = new Map(), message = null, came = 0;

const now = () => message.now + (performance.now() - came) / 1000 * message.speed; // the home's time, also under --speed
const names = key => message?.devices[key?.split(".")[0]]?.name ?? key;

function update() {
  const views = Object.values(message.devices).sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
  const keys = views.map(view => `${view.kind}/${view.key}`).join(" ");
  if ($("devices").dataset.keys !== keys) {
    $("devices").dataset.keys = keys;
    cards = new Map(views.filter(view => makers[view.kind]).map(view => [view.key, makers[view.kind](view.key)]));
    $("devices").replaceChildren(...[...cards.values()].map(card => card.el));
  }
  for (const view of views) {
    cards.get(view.key)?.update(view, now());
    cards.get(view.key)?.el.classList.toggle("gone", !view.available);
  }
}

function words() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.title = t("title");
  put($("title"), t("title")); put($("language"), t("other")); put($("lost"), t("lost"));
  put($("happened"), t("happened")); put($("speak"), t("speak"));
  $("phrase").placeholder = t("say"); $("phrase").ariaLabel = t("say");
}

function line(up) {
  document.body.classList.toggle("lost", !up);
  show($("lost"), !up);
  put($("line"), up ? t("connected") : "");
}

$("language").onclick = () => {
  switchLanguage();
  words();
  if (!message) return;
  $("devices").dataset.keys = "";
  update();
  draw(names);
  line(!document.body.classList.contains("lost"));
};
$("say").onsubmit = event => {
  event.preventDefault();
  const phrase = $("phrase").value.trim();
  if (phrase) send({ say: phrase });
  $("phrase").value = "";
};
setInterval(() => { if (message) for (const card of cards.values()) card.tick?.(now()); }, 500);

words();
draw(names);
watch(next => {
  message = next;
  came = performance.now();
  put($("version"), `homebridge_svc ${message.version}`);
  update();
  take(message);
}, line);
