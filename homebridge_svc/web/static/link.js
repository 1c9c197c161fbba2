// The line to the daemon: state and journal come in as server-sent events, commands go out as POSTs.
import { t, language } from "./strings.js";
import { toast } from "./dom.js";

const mine = new Set(); // ids of commands given here, whose answers become toasts
const TONE = { accepted: "wait", done: "good", duplicate: "good", superseded: "good" };

function tell(id, answer) {
  const why = language === "zh" ? answer.zh || answer.why : answer.why;
  toast(id, TONE[answer.say] ?? "bad", t(`say.${answer.say}`), why);
  if (answer.say !== "accepted") mine.delete(id);
}

export async function send(command) {
  // crypto.randomUUID is missing where a page is not served over TLS
  const id = Array.from(crypto.getRandomValues(new Uint8Array(8)), b => b.toString(16).padStart(2, "0")).join("");
  mine.add(id);
  toast(id, "wait", t("sending"), "");
  try {
    const response = await fetch("/api/command?wait=1", { method: "POST", body: JSON.stringify({ ...command, id }) });
    if (response.status === 401) location.assign("/login");
    const body = await response.json();
    if (body.error) tell(id, { say: response.status === 429 ? "busy" : "refused", why: body.error });
    else if (body.answers.length && mine.has(id)) tell(id, body.answers.at(-1));
  } catch {
    tell(id, { say: "failed", why: t("unheard") });
  }
}

export function watch(onMessage, onLine) {
  const source = new EventSource("/api/events");
  source.onmessage = event => {
    const message = JSON.parse(event.data);
    onLine(true);
    onMessage(message);
    for (const row of [...message.rows].reverse()) {
      if (row.kind === "answered" && mine.has(row.chain)) {
        tell(row.chain, { say: row.data.say, why: row.text.replace(/^\w+: /, ""), zh: row.data.zh });
      }
    }
  };
  source.onerror = async () => {
    onLine(false);
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    const response = await fetch("/api/state").catch(() => null);
    if (response?.status === 401) location.assign("/login");
    else setTimeout(watch, 3000, onMessage, onLine);
  };
}
