(function () {
  "use strict";
  var all = function (where, what) { return Array.prototype.slice.call(where.querySelectorAll(what)); };
  var boxes = all(document, ".chart"), picked = { versions: null, segment: "" }, drawn = new Map();
  var options = { mode: "vega-lite", renderer: "svg", actions: false };
  document.documentElement.classList.add("scripted");

  // Data lie by column, repeated texts once; here they become rows again.
  function rows(columns) {
    var names = Object.keys(columns), found = [];
    var read = names.map(function (name) {
      var column = columns[name];
      return Array.isArray(column) ? function (at) { return column[at]; }
        : function (at) { var place = column.i[at]; return place === null ? null : column.t[place]; };
    });
    var first = names.length ? columns[names[0]] : [];
    for (var at = 0; at < (Array.isArray(first) ? first : first.i).length; at++) {
      var row = {};
      for (var k = 0; k < names.length; k++) {
        var value = read[k](at);
        if (value !== null || names[k] === "y") { row[names[k]] = value; }
      }
      found.push(row);
    }
    return found;
  }
  function wanted(row) {
    if (picked.versions && "v" in row && !picked.versions.has(row.v)) { return false; }
    return !(picked.segment && "s" in row && row.s.indexOf(" = ") > 0 && row.s !== picked.segment);
  }
  function unpacked(box) {
    delete box.dataset.left;
    var spec = JSON.parse(box.querySelector("script").textContent);
    Object.keys(spec.datasets || {}).forEach(function (name) {
      var before = rows(spec.datasets[name]), kept = before.filter(wanted);
      if (before.length && !kept.length) { box.dataset.left = "none"; }
      spec.datasets[name] = kept;
    });
    return spec;
  }
  function widthOf(box, spec) {
    var room = document.querySelector("main").clientWidth - (window.innerWidth > 900 ? 90 : 60);
    if (typeof spec.width === "number" && !spec.facet && spec.width > room) { spec.width = Math.max(240, room); }
    return spec;
  }
  function draw(box) {
    if (drawn.has(box)) { return drawn.get(box); }
    var holder = box.querySelector(".drawn") || box.appendChild(document.createElement("div"));
    holder.className = "drawn";
    var spec = widthOf(box, unpacked(box));
    if (box.dataset.left === "none") {
      holder.textContent = "Nothing here is of what is selected.";
      drawn.set(box, Promise.resolve());
      return drawn.get(box);
    }
    var done = window.vegaEmbed(holder, spec, options).then(function () {
      if (!performance.getEntriesByName("first-chart").length) { performance.mark("first-chart"); }
    }).catch(function (error) {
      holder.className = "drawn broken";
      holder.textContent = "This chart could not be drawn: " + error.message;
      console.error(error);
    });
    drawn.set(box, done);
    return done;
  }

  // What is in view is drawn first, the rest while nothing else is to do, so that it is there to be printed.
  var seen = new IntersectionObserver(function (entries) {
    entries.forEach(function (entry) { if (entry.isIntersecting) { draw(entry.target); } });
  }, { rootMargin: "300px" });
  boxes.forEach(function (box) { seen.observe(box); });
  var idle = window.requestIdleCallback ? function (next) { requestIdleCallback(next, { timeout: 500 }); } : function (next) { setTimeout(next, 30); };
  function rest() {
    var next = boxes.find(function (box) { return !drawn.has(box) && !box.closest("figure").hidden; });
    if (next) { draw(next).then(function () { idle(rest); }); return; }
    Promise.all(Array.from(drawn.values())).then(function () {
      document.body.dataset.charts = String(document.querySelectorAll(".chart svg").length);
    });
  }
  window.addEventListener("load", function () { setTimeout(function () { idle(rest); }, 200); });

  // One selection for the whole page: lines and charts that speak of something else are hidden.
  function select() {
    all(document, "[data-v], [data-s]").forEach(function (part) {
      var versions = part.dataset.v, about = part.dataset.s;
      var out = picked.versions && versions && !versions.split("\n").some(function (one) { return picked.versions.has(one); });
      part.hidden = !!(out || (picked.segment && about !== undefined && about.split("\n").indexOf(picked.segment) < 0));
    });
    all(document, ".drawn").forEach(function (holder) { holder.parentNode.style.minHeight = holder.offsetHeight + "px"; });
    drawn.clear();
    delete document.body.dataset.charts;
    all(document, "details.data").forEach(function (part) { part.open = false; });
    boxes.forEach(function (box) { seen.unobserve(box); seen.observe(box); });
    idle(rest);
  }
  var versions = all(document, "input[name=version]");
  versions.forEach(function (input) {
    input.addEventListener("change", function () {
      var on = versions.filter(function (one) { return one.checked; }).map(function (one) { return one.value; });
      picked.versions = on.length === versions.length ? null : new Set(on);
      select();
    });
  });
  var segment = document.querySelector("select[name=segment]");
  if (segment) { segment.addEventListener("change", function () { picked.segment = segment.value; select(); }); }

  // The two views are tabs: arrows move between them, the address names the one that is open.
  var tabs = all(document, "[role=tab]");
  function open(tab, focus) {
    tabs.forEach(function (one) {
      var chosen = one === tab;
      one.setAttribute("aria-selected", String(chosen));
      one.tabIndex = chosen ? 0 : -1;
      document.getElementById(one.getAttribute("aria-controls")).hidden = !chosen;
    });
    if (focus) { tab.focus(); }
  }
  tabs.forEach(function (tab, at) {
    tab.addEventListener("click", function () { open(tab); history.replaceState(null, "", "#" + tab.getAttribute("aria-controls")); });
    tab.addEventListener("keydown", function (event) {
      var step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) { var next = tabs[(at + step + tabs.length) % tabs.length]; open(next, true); next.click(); }
    });
  });
  function follow() {
    var part = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    var view = part && part.closest(".view");
    var tab = view && tabs.find(function (one) { return one.getAttribute("aria-controls") === view.id; });
    open(tab || tabs[0]);
    if (part && tab && part !== view) { part.scrollIntoView(); }
  }
  window.addEventListener("hashchange", follow);
  follow();

  // The numbers of a chart as a table, made when somebody asks for it; its columns are those of the tooltip.
  function tips(part, found) {
    if (part && typeof part === "object") {
      if (Array.isArray(part.tooltip) && part.tooltip.length > found.length) { found = part.tooltip; }
      Object.keys(part).forEach(function (key) { if (key !== "datasets") { found = tips(part[key], found); } });
    }
    return found;
  }
  function put(line, tag, text) { var one = document.createElement(tag); one.textContent = text === undefined || text === null ? "" : String(text); line.appendChild(one); }
  function table(box) {
    var spec = unpacked(box), columns = tips(spec, []), made = document.createElement("table");
    var sets = Object.keys(spec.datasets).map(function (name) { return spec.datasets[name]; });
    var data = sets.filter(function (found) { return found.length && columns.some(function (one) { return one.field in found[0]; }) && columns[0].field in found[0]; });
    var head = made.createTHead().insertRow(), body = made.createTBody();
    columns.forEach(function (one) { put(head, "th", one.title || one.field); });
    [].concat.apply([], data).forEach(function (row) {
      var line = body.insertRow();
      columns.forEach(function (one) { put(line, "td", row[one.field]); });
    });
    return made;
  }
  all(document, "details.data").forEach(function (part) {
    part.addEventListener("toggle", function () {
      var place = part.querySelector(".rows");
      place.textContent = "";
      if (part.open) { place.appendChild(table(part.closest("figure").querySelector(".chart"))); }
    });
  });
})();
