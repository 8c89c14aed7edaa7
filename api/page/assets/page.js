"use strict";
// Keeps a page up to date: when something happens to an incident, and otherwise
// once a minute, the page is asked for again and the parts marked data-live that
// differ are exchanged. The page is whole without this.
(() => {
  const soon = 400, often = 60000, seldom = 2000;
  let asked = 0, waiting = null;

  async function refresh() {
    waiting = null;
    asked = Date.now();
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.redirected && new URL(answer.url).pathname === "/signin") return location.reload();
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const now = fresh.getElementById(part.id);
      if (now && now.innerHTML !== part.innerHTML) exchange(part, now);
    }
  }

  // exchange keeps what a reader has: the focus, and which details are open.
  function exchange(part, now) {
    const held = part.contains(document.activeElement) ? document.activeElement : null;
    const place = held && held.getAttribute("href");
    const open = [...part.querySelectorAll("details")].map((d) => d.open);
    part.innerHTML = now.innerHTML;
    part.className = now.className;
    part.querySelectorAll("details").forEach((d, i) => { d.open = open[i] || false; });
    if (!held) return;
    const again = place ? part.querySelector(`[href="${CSS.escape(place)}"]`) : part.querySelector(held.tagName);
    if (again) again.focus({ preventScroll: true });
  }

  function later(wait) {
    if (waiting === null) waiting = setTimeout(refresh, Math.max(wait, asked + seldom - Date.now()));
  }

  const events = new EventSource("/api/v1/events");
  const following = document.getElementById("following"), news = document.getElementById("news");
  events.addEventListener("open", () => { following.hidden = false; });
  events.addEventListener("error", () => { following.hidden = true; });
  events.addEventListener("incident", (e) => {
    const happened = JSON.parse(e.data);
    if (happened.seq === 1) news.textContent = `New incident ${happened.ref}`;
    later(soon);
  });
  setInterval(() => { if (!document.hidden) later(0); }, often);
  document.addEventListener("visibilitychange", () => { if (!document.hidden && Date.now() - asked > often) later(0); });
})();
