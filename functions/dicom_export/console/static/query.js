// The editor: Ctrl+Enter runs the query, Stop ends it. Tab is not captured, so that the keyboard leaves the editor.

export function enableQuery() {
  for (const list of document.querySelectorAll("select[data-send]")) {
    list.form.querySelector("[data-without-script]").hidden = true;
    list.addEventListener("change", () => list.form.requestSubmit());
  }
  const form = document.getElementById("run");
  if (!form) return;
  const stop = document.getElementById("stop");

  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit(form.querySelector("[data-busy]"));
    }
  });
  form.addEventListener("submit", () => { stop.hidden = false; });
  stop.addEventListener("click", () => {
    const fields = new FormData(form);
    fields.set("intent", "stop");
    fetch(form.action, { method: "POST", body: fields, keepalive: true });
  });
}
