"use strict";
// Only what a page cannot do by itself: filter, keys, links into folds, channels, copying, and opening all for print.
(function () {
  const all = (selector, from) => Array.from((from || document).querySelectorAll(selector));
  document.documentElement.classList.add("js");

  // Links: what they lead to stands in folds, which open.
  function reveal(id, focus) {
    const found = id && document.getElementById(id);
    if (!found) return;
    for (let one = found; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
    all(".row.marked").forEach((row) => row.classList.remove("marked"));
    if (!found.classList.contains("row")) return;
    found.classList.add("marked");
    found.scrollIntoView({ block: "start" });
    if (focus) found.querySelector("summary").focus({ preventScroll: true });
  }
  const named = () => {
    const raw = location.hash.slice(1);
    try {
      return document.getElementById(raw) ? raw : decodeURIComponent(raw);
    } catch (error) {
      return raw;
    }
  };
  addEventListener("hashchange", () => reveal(named(), true));
  reveal(named(), true);

  // The filter: words that a row must all hold, and the statuses it may have.
  function filter(form) {
    const section = form.closest(".layers");
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const boxes = all("input[type=checkbox]", form);
    const statuses = boxes.filter((box) => box.checked).map((box) => box.value);
    const active = words.length > 0 || statuses.length < boxes.length;
    let shown = 0;
    all(".row", section).forEach((row) => {
      const text = (row.tagName === "A" ? row : row.firstElementChild).textContent.toLowerCase();
      const status = statuses.some((one) => row.classList.contains(one));
      row.hidden = !(status && words.every((word) => text.includes(word)));
      if (!row.hidden && row.tagName === "DETAILS") shown += 1;
    });
    all(".fold", section).forEach((fold) => {
      const some = all(".row", fold).some((row) => !row.hidden);
      fold.hidden = !some;
      if (active && !("before" in fold.dataset)) fold.dataset.before = fold.open ? "open" : "";
      if (active) fold.open = some;
      else if ("before" in fold.dataset) {
        fold.open = fold.dataset.before === "open";
        delete fold.dataset.before;
      }
    });
    const count = all("details.row", section).length;
    form.querySelector("output").textContent = shown + " of " + count + " layers";
  }
  all(".filter").forEach((form) => {
    form.addEventListener("input", () => filter(form));
    form.addEventListener("submit", (event) => event.preventDefault());
    if (form.elements.text.value) filter(form);
  });

  // The keys.
  function step(by) {
    const stops = all(".layers .row > summary, .layers .fold > summary, .layers a.row").filter((one) => {
      const fold = one.parentElement.closest(".fold");
      const folded = fold && !fold.open && one.parentElement !== fold;
      return !folded && one.getClientRects().length > 0;
    });
    const now = stops.findIndex((one) => one === document.activeElement || one.parentElement.classList.contains("marked"));
    const next = stops[now < 0 ? (by > 0 ? 0 : stops.length - 1) : Math.min(Math.max(now + by, 0), stops.length - 1)];
    if (!next) return;
    all(".row.marked").forEach((row) => row.classList.remove("marked"));
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
    const row = next.parentElement;
    if (row.classList.contains("row") && row.id) {
      row.classList.add("marked");
      history.replaceState(null, "", "#" + row.id);
    }
  }
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const typing = event.target.matches("input[type=search]");
    if (event.key === "Escape" && typing) {
      event.target.value = "";
      all("input[type=checkbox]", event.target.form).forEach((box) => (box.checked = true));
      filter(event.target.form);
      event.target.blur();
    } else if (typing || event.target.matches("input, select, textarea")) {
      return;
    } else if (event.key === "j" || event.key === "k") {
      step(event.key === "j" ? 1 : -1);
    } else if (event.key === "/") {
      const near = document.activeElement.closest(".network");
      (near || document).querySelector(".filter input").focus();
      event.preventDefault();
    }
  });

  // Channels of a map.
  const data = JSON.parse(document.getElementById("~data").textContent);
  const bytes = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  const palettes = { value: bytes(data.palettes.value), difference: bytes(data.palettes.difference) };
  function drawn(map, side) {
    const canvas = document.createElement("canvas");
    canvas.width = map.columns;
    canvas.height = map.rows;
    const pen = canvas.getContext("2d");
    const image = pen.createImageData(map.columns, map.rows);
    const colours = palettes[side === "difference" ? "difference" : "value"];
    bytes(map[side]).forEach((cell, i) => {
      for (let c = 0; c < 3; c += 1) image.data[4 * i + c] = colours[3 * cell + c];
      image.data[4 * i + 3] = 255;
    });
    pen.putImageData(image, 0, 0);
    return canvas.toDataURL();
  }
  const short = (number) => String(Number(number.toPrecision(3)));
  all(".maps").forEach((section) => {
    const maps = data.maps[section.dataset.maps];
    const slider = section.querySelector("input[type=range]");
    if (!maps || !slider) return;
    slider.addEventListener("input", () => {
      const map = maps[slider.value];
      all("img", section).forEach((image) => {
        const side = image.dataset.side;
        image.src = drawn(map, side);
        image.alt = image.alt.split(",")[0] + ", " + map.words;
        const scale = image.parentElement.querySelector(".scale");
        scale.querySelector("[data-low]").textContent = side === "difference" ? "0" : short(map.low);
        scale.querySelector("[data-high]").textContent = short(side === "difference" ? map.greatest : map.high);
      });
      slider.setAttribute("aria-valuetext", map.words);
      section.querySelector("output").textContent = map.words;
    });
  });

  all(".copy").forEach((button) => {
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch (error) {
        getSelection().selectAllChildren(code);
        button.textContent = "Press Ctrl+C";
      }
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
  });

  // On paper nothing can be opened.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details:not([open])").filter((one) => !one.matches(".row.same, .row.inherited"));
    opened.forEach((one) => (one.open = true));
  });
  addEventListener("afterprint", () => opened.forEach((one) => (one.open = false)));
})();
