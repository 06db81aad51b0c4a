// Parts of a page that are kept up to date: elements with an id and `data-live`.

const HIDDEN_MS = 10_000;
const LOST_MS = 5_000;

// Make one node like another. Where nothing differs nothing is touched: focus, selection and scrolling stay.
export function morph(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
    old.replaceWith(document.importNode(fresh, true));
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
  after.forEach((node, index) => {
    if (index < before.length) morph(before[index], node);
    else old.append(document.importNode(node, true));
  });
  for (const node of before.slice(after.length)) node.remove();
}

// Take over the live parts of a page that was fetched, its title, and whether it goes on.
export function take(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const found = fresh.getElementById(part.id);
    if (found) morph(part, found);
  }
  document.title = fresh.title;
  document.body.dataset.refresh = fresh.body.dataset.refresh ?? "0";
  return fresh;
}

function announce() {
  const text = document.querySelector("[data-announce]")?.dataset.announce;
  const place = document.getElementById("announcement");
  if (text && place.textContent !== text) place.textContent = text;
}

function setLost(isLost) {
  const message = document.getElementById("lost");
  if (isLost && message.hidden) {
    message.querySelector("time").textContent = new Date().toLocaleTimeString();
    document.getElementById("announcement").textContent = message.querySelector("h2").textContent;
  }
  message.hidden = !isLost;
}

async function refresh() {
  try {
    const response = await fetch(location.href, { redirect: "error" });
    if (!response.ok) throw new Error(response.statusText);
    const wasRunning = document.body.dataset.refresh !== "0";
    take(await response.text());
    setLost(false);
    announce();
    // What only an ended operation has is not on this page yet.
    if (wasRunning && document.body.dataset.refresh === "0" && document.querySelector("[data-announce]")) await finish();
    return true;
  } catch {
    setLost(true);
    return false;
  }
}

async function finish() {
  const response = await fetch(location.href);
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  morph(document.querySelector(".columns > .stack"), fresh.querySelector(".columns > .stack"));
}

export async function follow() {
  const every = () => Number(document.body.dataset.refresh);
  if (!every()) return;
  announce();
  let isReached = true;
  while (every()) {
    const pause = !isReached ? LOST_MS : document.hidden ? HIDDEN_MS : every();
    await new Promise((resolve) => { setTimeout(resolve, pause); });
    isReached = await refresh();
  }
}
