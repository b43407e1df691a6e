"use strict";
(() => {
  const data = JSON.parse(document.getElementById("graph").textContent);
  const SVG = "http://www.w3.org/2000/svg";
  const root = document.documentElement;
  const BUDGET = 150;

  const make = (tag, attributes = {}, ...children) => {
    const one = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
    one.append(...children);
    return one;
  };
  const draw = (tag, attributes = {}, ...children) => {
    const one = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
    one.append(...children);
    return one;
  };

  // --- the graph: nodes, who reads whom, and the tree of modules ---

  const nodes = data.nodes;
  const edges = data.edges;
  const outputs = new Set(data.outputs);
  const reads = nodes.map(() => []);
  const readBy = nodes.map(() => []);
  for (const edge of edges) {
    reads[edge.target].push(edge);
    readBy[edge.source].push(edge);
  }
  const keyOf = (path) => "m" + JSON.stringify(path);
  const groups = new Map();
  for (const group of data.groups) {
    const path = group.path;
    groups.set(keyOf(path), {
      key: keyOf(path), path, class: group.class, repeat: group.repeat, members: [], parent: path.length > 1 ? keyOf(path.slice(0, -1)) : null,
    });
  }
  for (const node of nodes) {
    for (let length = node.module.length; length > 0; length--) groups.get(keyOf(node.module.slice(0, length))).members.push(node);
  }
  const groupTitle = (group) => {
    const name = group.path[group.path.length - 1];
    return (group.class && group.class !== name ? name + " " + group.class : name) + (group.repeat > 1 ? " ×" + group.repeat : "");
  };

  const state = { open: new Set(), constants: true, selected: null, step: -1, trail: new Set(), hits: [], hit: -1, playing: 0 };
  const openAll = () => groups.forEach((group) => state.open.add(group.key));
  if (nodes.length <= BUDGET) openAll();

  const hidden = (node) => !state.constants && node.kind === "constant";
  /** The box that shows a node: itself, or the outermost module around it that is closed. */
  const shownAs = (node) => {
    for (let length = 1; length <= node.module.length; length++) {
      const key = keyOf(node.module.slice(0, length));
      if (!state.open.has(key)) return key;
    }
    return "n" + node.id;
  };

  // --- numbers as people write them ---

  const short = (value) => {
    if (typeof value !== "number") return String(value);
    if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
    return Number(value.toPrecision(4)).toString();
  };
  const summary = (array) => {
    if (array.status !== "known") return array.status;
    if (array.elements && array.elements.length <= 6) {
      return array.elements.length === 1 ? short(array.elements[0]) : "[" + array.elements.map(short).join(", ") + "]";
    }
    const stats = array.stats;
    const odd = (stats.nan ? " " + stats.nan + " NaN" : "") + (stats.inf ? " " + stats.inf + " Inf" : "");
    if (stats.min === undefined) return odd.trim();
    return (stats.min === stats.max ? "all " + short(stats.min) : short(stats.min) + " … " + short(stats.max)) + odd;
  };
  const isBad = (array) => {
    if (array.status !== "known") return false;
    if (array.stats) return array.stats.nan + array.stats.inf > 0;
    return (array.elements || []).some((one) => typeof one === "string");
  };
  const troubled = (node) => isBad(node.value) || isBad(node.gradient) || node.marks.includes("failed") || node.health.some((one) => one.severity !== "info");
  /** How much a node changed, from 0 to 1: a thousandth and less is little, its own size and more is much. */
  const warmth = (change) => {
    const amount = change.value === null ? change.gradient : change.value;
    const most = amount === "inf" ? Infinity : amount || 0;
    return most > 0 ? Math.min(Math.max((4 + Math.log10(most)) / 4, 0.12), 1) : 0;
  };
  const timeOf = (node) => {
    const micro = (seconds) => short(seconds * 1e6) + " µs";
    return micro(node.seconds.forward) + (node.seconds.backward === null ? "" : ", back " + micro(node.seconds.backward));
  };
  const shapeOf = (node) => (node.shape === null ? "" : "(" + node.shape.join(", ") + ")") + (node.dtype ? " " + node.dtype : "");

  const rowsOf = (node) => {
    const rows = [];
    if (node.kind === "module") rows.push(node.contains.slice(0, 3).map(([what, count]) => count + " × " + what).join(", "));
    if (node.shape !== null && node.shape.length) rows.push(shapeOf(node));
    if (node.kind !== "module" && !(node.kind === "constant" && node.shape !== null && !node.shape.length)) {
      rows.push("value " + summary(node.value));
    }
    if (node.gradient.status !== "not wanted" && node.kind !== "module") rows.push("grad " + summary(node.gradient));
    if (node.marks.includes("failed") && node.shape === null) rows.push("failed");
    if (node.seconds) rows.push(timeOf(node));
    for (const one of node.health) rows.push("⚠ " + one.text);
    if (node.change && node.change.kind === "changed") {
      for (const what of ["value", "gradient"]) if (node.change[what]) rows.push(what + " changed by " + short(node.change[what]));
    } else if (node.change && node.change.kind !== "same") {
      rows.push(node.change.kind);
    }
    return rows.map((row) => (row.length > 44 ? row.slice(0, 43) + "…" : row));
  };
  const titleOf = (node) => {
    const title = node.class ? node.title + " " + node.class : node.title;
    const cut = title.length > 40 ? title.slice(0, 39) + "…" : title;
    return node.repeat > 1 ? cut + " ×" + node.repeat : cut;
  };

  // --- the page ---

  const button = (id, text, label, action) => {
    const one = make("button", { id, "data-testid": id, title: label, "aria-label": label, type: "button" }, text);
    one.addEventListener("click", action);
    return one;
  };
  const search = make("input", { id: "search", "data-testid": "search", type: "search", placeholder: "search ( / )", "aria-label": "search nodes" });
  const hits = make("span", { id: "hits", "aria-live": "polite" });
  const stage = make("div", { id: "stage" });
  const note = make("div", { id: "note" });
  const card = make("aside", { id: "card", "data-testid": "card", "aria-label": "details" });
  const help = make("div", { id: "help", role: "dialog", "aria-label": "keys", hidden: "" });
  const svg = draw("svg", { role: "group", "aria-label": "computation graph" });
  const world = draw("g");
  const head = draw("marker", { id: "head", viewBox: "0 0 8 8", refX: 7.5, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto-start-reverse", markerUnits: "userSpaceOnUse" },
    draw("path", { class: "head", d: "M0,0.5L8,4L0,7.5z" }));
  svg.append(draw("defs", {}, head), world);
  stage.append(svg, note);
  const constantsButton = button("constants", "constants", "show or hide constants (h)", () => act.constants());
  document.body.prepend(
    make("header", {}, make("h1", {}, data.title || "Computation graph"), search, hits,
      button("fit", "fit", "show everything (0)", () => fit()),
      button("in", "+", "larger (+)", () => zoom(1.3)), button("out", "−", "smaller (-)", () => zoom(1 / 1.3)),
      button("expand", "open all", "open all modules (e)", () => act.expand()),
      button("collapse", "close all", "close all modules (c)", () => act.collapse()),
      constantsButton, button("theme", "◐", "light or dark (t)", () => act.theme()), button("keys", "?", "keys (?)", () => act.help())),
    make("main", {}, stage, card), help);

  // --- drawing ---

  const measure = document.createElement("canvas").getContext("2d");
  const widthOf = (text, font) => {
    measure.font = font;
    return measure.measureText(text).width;
  };
  let drawn = new Map();
  let bounds = { x: 0, y: 0, width: 100, height: 100 };

  const render = () => {
    const layout = new dagre.graphlib.Graph({ compound: true, multigraph: false });
    layout.setGraph({ rankdir: "LR", nodesep: 14, ranksep: 34, marginx: 10, marginy: 10 });
    layout.setDefaultEdgeLabel(() => ({}));
    const boxes = new Map();
    for (const node of nodes) {
      if (hidden(node)) continue;
      const key = shownAs(node);
      if (boxes.has(key)) continue;
      const box = key[0] === "n" ? boxOfNode(node) : boxOfGroup(groups.get(key));
      boxes.set(key, box);
      layout.setNode(key, { width: box.width, height: box.height });
    }
    for (const [key, box] of boxes) {
      let parent = box.parent;
      let child = key;
      while (parent !== null) {
        if (!layout.hasNode(parent)) layout.setNode(parent, {});
        layout.setParent(child, parent);
        child = parent;
        parent = groups.get(parent).parent;
      }
    }
    const links = new Map();
    for (const edge of edges) {
      if (hidden(nodes[edge.source])) continue;
      const from = shownAs(nodes[edge.source]);
      const to = shownAs(nodes[edge.target]);
      if (from === to) continue;
      const name = from + " " + to;
      if (!links.has(name)) links.set(name, { from, to, carries: false });
      links.get(name).carries ||= edge.carries_gradient;
      layout.setEdge(from, to);
    }
    dagre.layout(layout);

    world.replaceChildren();
    drawn = new Map();
    const clusters = layout.nodes().filter((key) => !boxes.has(key));
    clusters.sort((a, b) => groups.get(a).path.length - groups.get(b).path.length);
    for (const key of clusters) world.append(cluster(groups.get(key), layout.node(key)));
    for (const link of links.values()) {
      const path = draw("path", {
        class: "edge" + (link.carries ? "" : " plain"), d: curve(layout.edge(link.from, link.to).points), "marker-end": "url(#head)",
      });
      world.append(path);
      link.path = path;
    }
    for (const [key, box] of boxes) {
      const place = layout.node(key);
      const element = elementOf(key, box, place);
      world.append(element);
      drawn.set(key, { element, box, place });
    }
    state.links = links;
    const size = layout.graph();
    bounds = { x: 0, y: 0, width: Math.max(size.width, 60), height: Math.max(size.height, 60) };
    root.dataset.visible = String(boxes.size);
    const closed = [...groups.values()].filter((group) => !state.open.has(group.key) && (!group.parent || state.open.has(group.parent)));
    const told = closed.reduce((sum, group) => sum + group.members.length, 0);
    note.textContent = [...data.notes, told ? told + " of " + nodes.length + " nodes are inside closed modules" : ""].filter(Boolean).join(" ");
    mark();
  };

  const boxOfNode = (node) => {
    const title = titleOf(node);
    const rows = rowsOf(node);
    const bad = troubled(node);
    return {
      kind: node.kind, title, rows, bad, output: outputs.has(node.id), parent: node.module.length ? keyOf(node.module) : null,
      node, width: 20 + Math.max(widthOf(title, "600 12px system-ui"), ...rows.map((row) => widthOf(row, "11px system-ui")), 20),
      height: 24 + 14 * rows.length,
    };
  };
  const boxOfGroup = (group) => {
    const title = groupTitle(group);
    const rows = [group.members.length + " nodes, closed"];
    return {
      kind: "module", title, rows, bad: group.members.some(troubled),
      output: group.members.some((node) => outputs.has(node.id)), parent: group.parent, group,
      width: 20 + Math.max(widthOf(title, "600 12px system-ui"), widthOf(rows[0], "11px system-ui")), height: 38,
    };
  };

  const elementOf = (key, box, place) => {
    const left = place.x - box.width / 2;
    const top = place.y - box.height / 2;
    const spoken = box.title + ", " + box.rows.join(", ");
    const element = draw("g", {
      class: "node " + box.kind + (box.output ? " output" : "") + (box.bad ? " bad" : ""), tabindex: "0", role: "button",
      "aria-label": spoken, "data-key": key,
    });
    const round = box.kind === "op" || box.kind === "module" ? 8 : 0;
    const rect = draw("rect", { x: left, y: top, width: box.width, height: box.height, rx: round });
    const change = box.node && box.node.change;
    // Of the operands of an op that failed the first row is the shape.
    const failed = box.node && box.node.marks.includes("failed") && box.node.shape !== null && box.node.shape.length > 0;
    if (change) {
      element.classList.add(change.kind);
      if (change.kind === "changed") rect.style.fill = `color-mix(in srgb, var(--now) ${Math.round(70 * warmth(change))}%, var(--op))`;
    }
    element.append(
      rect,
      draw("text", { class: "title", x: place.x, y: top + 16, "text-anchor": "middle" }, box.title),
      ...box.rows.map((row, line) => draw("text", {
        class: failed && line === 0 ? "small bad" : "small", x: place.x, y: top + 30 + 14 * line, "text-anchor": "middle",
      }, row)));
    const use = () => (box.group ? toggle(box.group.key) : select(box.node.id));
    element.addEventListener("click", () => { if (!moved) use(); });
    element.addEventListener("keydown", (event) => {
      if (event.key === "Enter") { use(); event.stopPropagation(); }
    });
    return element;
  };

  const cluster = (group, place) => {
    const left = place.x - place.width / 2;
    const top = place.y - place.height / 2;
    const label = draw("text", { x: left + 6, y: top + 13, role: "button", tabindex: "0", "aria-label": "close " + groupTitle(group) }, "▾ " + groupTitle(group));
    label.addEventListener("click", () => { if (!moved) toggle(group.key); });
    label.addEventListener("keydown", (event) => { if (event.key === "Enter") toggle(group.key); });
    return draw("g", { class: "cluster" }, draw("rect", { x: left, y: top, width: place.width, height: place.height, rx: 8 }), label);
  };

  const curve = (points) => {
    let path = `M${points[0].x},${points[0].y}`;
    for (let k = 1; k < points.length - 1; k++) {
      const middle = { x: (points[k].x + points[k + 1].x) / 2, y: (points[k].y + points[k + 1].y) / 2 };
      path += ` Q${points[k].x},${points[k].y} ${middle.x},${middle.y}`;
    }
    const last = points.at(-1);
    return path + ` L${last.x},${last.y}`;
  };

  /** Colours of the moment: the step, what is selected, hits, the trail. */
  const mark = () => {
    const now = new Set();
    const into = new Set();
    if (state.step >= 0) {
      const step = data.steps[state.step];
      now.add(shownAs(nodes[step.node]));
      const partners = step.phase === "backward" ? step.into.map((part) => part.node) : reads[step.node].map((edge) => edge.source);
      for (const partner of partners) into.add(shownAs(nodes[partner]));
    }
    const found = new Set(state.hits.map((id) => shownAs(nodes[id])));
    const trail = new Set([...state.trail].map((id) => shownAs(nodes[id])));
    for (const [key, { element, box }] of drawn) {
      element.classList.toggle("now", now.has(key));
      element.classList.toggle("into", into.has(key) && !now.has(key));
      element.classList.toggle("hit", found.has(key));
      element.classList.toggle("trail", trail.has(key));
      element.classList.toggle("selected", state.selected !== null && box.node !== undefined && box.node.id === state.selected);
    }
    for (const link of (state.links || new Map()).values()) {
      link.path.classList.toggle("trail", trail.has(link.from) && trail.has(link.to));
    }
  };

  // --- moving about ---

  let view = { x: 0, y: 0, scale: 1 };
  const place = () => world.setAttribute("transform", `translate(${view.x},${view.y}) scale(${view.scale})`);
  const fit = () => {
    const { clientWidth: width, clientHeight: height } = stage;
    const scale = Math.min(width / bounds.width, (height - 20) / bounds.height, 1.4);
    view = { scale, x: (width - bounds.width * scale) / 2, y: (height - 20 - bounds.height * scale) / 2 };
    place();
  };
  const zoom = (factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) => {
    const scale = Math.min(Math.max(view.scale * factor, 0.02), 6);
    view = { scale, x: x - ((x - view.x) * scale) / view.scale, y: y - ((y - view.y) * scale) / view.scale };
    place();
  };
  const centre = (key) => {
    const one = drawn.get(key);
    if (!one) return;
    const scale = Math.max(view.scale, 0.7);
    view = { scale, x: stage.clientWidth / 2 - one.place.x * scale, y: stage.clientHeight / 2 - one.place.y * scale };
    place();
  };
  let moved = false;
  const touches = new Map();
  svg.addEventListener("pointerdown", (event) => {
    touches.set(event.pointerId, { x: event.clientX, y: event.clientY });
    moved = false;
  });
  window.addEventListener("pointermove", (event) => {
    const before = touches.get(event.pointerId);
    if (!before) return;
    const after = { x: event.clientX, y: event.clientY };
    if (touches.size === 2) {
      const [other] = [...touches].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
      const far = (point) => Math.hypot(point.x - other.x, point.y - other.y);
      const box = stage.getBoundingClientRect();
      zoom(far(after) / Math.max(far(before), 1), (after.x + other.x) / 2 - box.left, (after.y + other.y) / 2 - box.top);
      moved = true;
    } else if (moved || Math.hypot(after.x - before.x, after.y - before.y) > 3) {
      view.x += after.x - before.x;
      view.y += after.y - before.y;
      moved = true;
      place();
    } else {
      return;
    }
    touches.set(event.pointerId, after);
  });
  for (const name of ["pointerup", "pointercancel"]) window.addEventListener(name, (event) => touches.delete(event.pointerId));
  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = stage.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY * 0.0015), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  window.addEventListener("resize", fit);

  // --- what people do ---

  const toggle = (key) => {
    if (state.open.has(key)) state.open.delete(key);
    else state.open.add(key);
    render();
    fit();
  };
  /** Open the modules around a node. */
  const reveal = (id) => {
    let changed = false;
    for (let length = 1; length <= nodes[id].module.length; length++) {
      const key = keyOf(nodes[id].module.slice(0, length));
      if (!state.open.has(key)) {
        state.open.add(key);
        changed = true;
      }
    }
    if (changed) render();
  };
  const select = (id) => {
    state.selected = id;
    root.dataset.selected = id === null ? "" : String(id);
    card.replaceChildren(...(id === null ? general() : details(nodes[id])));
    mark();
  };
  const find = () => {
    const wanted = search.value.trim().toLowerCase();
    state.hits = wanted ? nodes.filter((node) => !hidden(node) && textOf(node).includes(wanted)).map((node) => node.id) : [];
    state.hit = -1;
    root.dataset.hits = String(state.hits.length);
    hits.textContent = wanted ? state.hits.length + " found" : "";
    mark();
  };
  const textOf = (node) => [node.title, node.name, node.op, node.module.join("."), shapeOf(node), node.kind, ...node.marks].filter(Boolean).join(" ").toLowerCase();
  const nextHit = (by) => {
    if (!state.hits.length) return;
    state.hit = (state.hit + by + state.hits.length) % state.hits.length;
    const id = state.hits[state.hit];
    hits.textContent = state.hit + 1 + " of " + state.hits.length;
    reveal(id);
    select(id);
    centre(shownAs(nodes[id]));
  };
  /** All nodes on the ways from a node to the results, along which gradients flow. */
  const trailOf = (id) => {
    const seen = new Set([id]);
    const stack = [id];
    while (stack.length) {
      for (const edge of readBy[stack.pop()]) {
        if (edge.carries_gradient && !seen.has(edge.target)) {
          seen.add(edge.target);
          stack.push(edge.target);
        }
      }
    }
    return seen;
  };
  const act = {
    expand: () => { openAll(); render(); fit(); },
    collapse: () => { state.open.clear(); render(); fit(); },
    constants: () => {
      state.constants = !state.constants;
      constantsButton.setAttribute("aria-pressed", String(!state.constants));
      render();
      fit();
    },
    theme: () => {
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
    },
    help: () => {
      help.hidden = !help.hidden;
      if (!help.hidden) help.focus();
    },
    escape: () => {
      help.hidden = true;
      search.value = "";
      state.trail = new Set();
      find();
      select(null);
    },
  };
  search.addEventListener("input", find);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") nextHit(event.shiftKey ? -1 : 1);
    if (event.key === "Escape") { act.escape(); search.blur(); }
    event.stopPropagation();
  });

  // --- details ---

  const general = () => {
    const counts = new Map();
    for (const node of nodes) counts.set(node.kind, (counts.get(node.kind) || 0) + 1);
    const list = make("dl");
    for (const [kind, count] of counts) list.append(make("dt", {}, kind), make("dd", {}, String(count)));
    return [make("h2", {}, nodes.length + " nodes, " + edges.length + " edges"), list,
      make("p", { class: "absent" }, "Click a node, or a module to open it. ? shows the keys.")];
  };
  const details = (node) => {
    const list = make("dl");
    const say = (what, value) => { if (value) list.append(make("dt", {}, what), make("dd", {}, value)); };
    say("kind", [node.kind, ...node.marks].join(", "));
    say("op", node.op);
    say("name", node.name);
    say("module", node.module.join("."));
    say("shape", shapeOf(node));
    say("bytes", node.bytes === null ? "" : node.bytes.toLocaleString("en"));
    for (const [name, value] of Object.entries(node.params)) say(name, value);
    say("time", node.seconds ? timeOf(node) : "");
    say("line", node.line ? node.line.file + ":" + node.line.number : "");
    const trail = button("trail", "way to the result", "mark all nodes between this one and the result (w)", () => {
      state.trail = trailOf(node.id);
      root.dataset.trail = String(state.trail.size);
      mark();
    });
    for (const one of node.health) say(one.severity, one.text);
    const told = data.steps.filter((step) => step.node === node.id).map((step) => make("p", { class: "numbers" }, step.text));
    return [make("h2", {}, titleOf(node)), list, make("h3", {}, "value"), ...arrayOf(node.value),
      make("h3", {}, "gradient"), ...arrayOf(node.gradient), ...(told.length ? [make("h3", {}, "steps"), ...told] : []), trail];
  };
  const arrayOf = (array) => {
    if (array.status !== "known") return [make("p", { class: "absent" }, array.status)];
    const parts = [];
    if (array.elements) parts.push(make("p", { class: "numbers" }, array.elements.map(short).join("  ") || "empty"));
    const stats = array.stats;
    if (stats) {
      const list = make("dl", { class: "numbers" });
      for (const name of ["min", "max", "mean", "std", "zeros", "nan", "inf"]) {
        if (stats[name] === undefined || ((name === "nan" || name === "inf") && !stats[name])) continue;
        list.append(make("dt", {}, name), make("dd", name === "nan" || name === "inf" ? { class: "bad" } : {}, short(stats[name])));
      }
      parts.push(list);
    }
    if (array.heat && array.heat.rows * array.heat.columns > 1) parts.push(heatMap(array.heat));
    if (array.histogram) parts.push(histogram(array.histogram));
    return parts;
  };
  const heatMap = ({ rows, columns, values }) => {
    const side = Math.min(16, 260 / columns);
    const largest = Math.max(...values.map((one) => (typeof one === "number" ? Math.abs(one) : 0)), 1e-300);
    const picture = draw("svg", { width: side * columns, height: side * rows, role: "img", "aria-label": "means of blocks, blue below 0, red above" });
    values.forEach((one, place) => {
      const strength = typeof one === "number" ? Math.abs(one) / largest : 0;
      const colour = typeof one === "number" ? `rgba(var(--${one < 0 ? "low" : "high"}), ${strength})` : "var(--now)";
      const cell = draw("rect", { x: (place % columns) * side, y: Math.floor(place / columns) * side, width: side, height: side });
      cell.style.fill = colour;
      cell.append(draw("title", {}, short(one)));
      picture.append(cell);
    });
    picture.style.border = "1px solid var(--line)";
    return picture;
  };
  const histogram = ({ edges: ends, counts }) => {
    const most = Math.max(...counts);
    const picture = draw("svg", { width: 260, height: 64, role: "img", "aria-label": "histogram" });
    counts.forEach((count, place) => {
      const height = (46 * count) / most;
      const bar = draw("rect", { x: (place * 260) / counts.length, y: 48 - height, width: 260 / counts.length - 1, height });
      bar.style.fill = "var(--bar)";
      bar.append(draw("title", {}, count + " from " + short(ends[place]) + " to " + short(ends[place + 1])));
      picture.append(bar);
    });
    picture.append(draw("text", { class: "small", x: 0, y: 61 }, short(ends[0])),
      draw("text", { class: "small", x: 260, y: 61, "text-anchor": "end" }, short(ends.at(-1))));
    return picture;
  };

  // --- step by step ---

  const told = make("div", { id: "told", "data-testid": "told", "aria-live": "polite" });
  const slider = make("input", { type: "range", min: "-1", max: String(data.steps.length - 1), value: "-1", "data-testid": "slider", "aria-label": "step" });
  const where = make("span", { id: "place" });
  const playButton = button("play", "▶", "play or pause (space)", () => play());
  const go = (number) => {
    if (!data.steps.length) return;
    state.step = Math.max(-1, Math.min(number, data.steps.length - 1));
    slider.value = String(state.step);
    root.dataset.step = String(state.step);
    const step = data.steps[state.step];
    where.textContent = step ? step.phase + " " + (state.step + 1) + " of " + data.steps.length : "before the first step";
    told.textContent = step ? [step.text, ...step.into.flatMap((part) => [
      "    " + part.formula + (part.numbers ? " = " + part.numbers : ""), ...(part.sum ? ["        together " + part.sum] : []),
    ])].join("\n") : "";
    if (step) {
      // A step shows itself, unless that would open a module too large to be drawn at once.
      const outermost = groups.get(keyOf(nodes[step.node].module.slice(0, 1)));
      if (outermost && outermost.members.length <= BUDGET) reveal(step.node);
      if (state.selected !== step.node) select(step.node);
    }
    mark();
  };
  const pause = () => {
    clearInterval(state.playing);
    state.playing = 0;
    playButton.textContent = "▶";
  };
  const play = () => {
    if (state.playing) { pause(); return; }
    if (state.step >= data.steps.length - 1) go(-1);
    playButton.textContent = "❚❚";
    state.playing = setInterval(() => {
      if (state.step >= data.steps.length - 1) pause();
      else go(state.step + 1);
    }, 900);
  };
  slider.addEventListener("input", () => go(Number(slider.value)));
  if (data.steps.length) {
    document.querySelector("main").after(make("footer", {},
      button("back", "◀︎|", "step back (left)", () => go(state.step - 1)), playButton,
      button("next", "|▶︎", "next step (right)", () => go(state.step + 1)), slider, where, told));
  }

  // --- keys ---

  const keys = [
    ["/", "search; Enter and Shift Enter go from hit to hit"], ["→ ←", "next step, step back"], ["space", "play, pause"],
    ["Tab, Enter", "go from node to node; show it, or open the module"], ["w", "mark the way from the node to the result"],
    ["e c", "open, close all modules"], ["o", "open the modules around the current node"], ["h", "hide or show constants"], ["+ - 0", "larger, smaller, everything"],
    ["t", "light or dark"], ["Esc", "forget search and selection"], ["?", "these keys"],
  ];
  const keyList = make("dl");
  for (const [key, what] of keys) keyList.append(make("dt", {}, make("kbd", {}, key)), make("dd", {}, what));
  help.tabIndex = -1;
  help.append(make("h2", {}, "Keys"), keyList, button("close", "close", "close (Esc)", () => act.help()));
  window.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const on = {
      "/": () => search.focus(), ArrowRight: () => go(state.step + 1), ArrowLeft: () => go(state.step - 1), " ": () => play(),
      "+": () => zoom(1.3), "=": () => zoom(1.3), "-": () => zoom(1 / 1.3), 0: () => fit(), e: act.expand, c: act.collapse,
      h: act.constants, t: act.theme, "?": act.help, Escape: act.escape,
      o: () => {
        const id = state.step >= 0 ? data.steps[state.step].node : state.selected;
        if (id === null) return;
        reveal(id);
        mark();
        centre(shownAs(nodes[id]));
      },
      w: () => { if (state.selected !== null) { state.trail = trailOf(state.selected); root.dataset.trail = String(state.trail.size); mark(); } },
    }[event.key];
    if (!on || (event.key === " " && event.target instanceof HTMLButtonElement)) return;
    event.preventDefault();
    on();
  });

  render();
  select(null);
  go(-1);
  root.dataset.step = "-1";
  root.dataset.hits = "0";
  fit();
  root.dataset.ready = "yes";
})();
