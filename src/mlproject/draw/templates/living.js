(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const COLUMN = 9, HIGH = 46, FLANK = 3, LETTERS = "ACGT";
  const shapes = Object.fromEntries([...LETTERS].map((letter) => {
    const path = document.getElementById(letter);
    return [letter, { path: new Path2D(path.getAttribute("d")), fill: path.getAttribute("fill") }];
  }));
  const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const make = (name, content = {}, ...children) => {
    const element = Object.assign(document.createElement(name), content);
    element.append(...children);
    return element;
  };
  const ratio = window.devicePixelRatio || 1;

  const bits = (pwm) => {
    const values = new Float32Array(pwm.length);
    for (let place = 0; place < pwm.length; place += 4) {
      const total = pwm[place] + pwm[place + 1] + pwm[place + 2] + pwm[place + 3] || 1;
      let information = 2;
      for (let letter = 0; letter < 4; letter += 1) {
        const share = pwm[place + letter] / total;
        if (share > 0) information += share * Math.log2(share);
      }
      for (let letter = 0; letter < 4; letter += 1) {
        values[place + letter] = (pwm[place + letter] / total) * information;
      }
    }
    return values;
  };

  // heights: 4 a column; unit: px for a height of 1; base: y of the line
  const draw = (canvas, heights, first, columns, unit, base, band) => {
    canvas.width = columns * COLUMN * ratio;
    canvas.height = HIGH * ratio;
    canvas.style.width = `${columns * COLUMN}px`;
    canvas.style.height = `${HIGH}px`;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    if (band) {
      context.fillStyle = "#eef3f8";
      context.fillRect(band[0] * COLUMN, 0, (band[1] - band[0]) * COLUMN, HIGH);
    }
    context.fillStyle = "#c5ccd3";
    context.fillRect(0, base, columns * COLUMN, 1);
    for (let place = 0; place < heights.length / 4; place += 1) {
      const order = [0, 1, 2, 3].map((letter) => [heights[place * 4 + letter], letter]);
      order.sort((one, other) => one[0] - other[0]);
      let bottom = order.reduce((sum, [height]) => sum + Math.min(height, 0), 0);
      for (const [height, letter] of order) {
        const size = Math.abs(height) * unit;
        if (size >= 0.6) {
          const { path, fill } = shapes[LETTERS[letter]];
          context.save();
          context.translate((first + place) * COLUMN, base - bottom * unit - size);
          context.scale(COLUMN * 0.96, size);
          context.fillStyle = fill;
          context.fill(path);
          context.restore();
        }
        bottom += Math.abs(height);
      }
    }
  };

  for (const factor of data.factors) factor.heights = bits(bytes(factor.pwm));
  const factors = new Map(data.factors.map((one) => [one.name, one]));
  const span = Math.max(...data.factors.map((one) => one.width), 12) + 2 * FLANK;

  const shown = data.axes.filter((axis) => axis.values.length > 1);
  const chosen = { ...data.runs[0].at };
  let run = data.runs[0];
  let step = Infinity;

  const nearest = (changed) => {
    const fits = (one) => data.axes.filter((axis) => one.at[axis.name] === chosen[axis.name]).length
      + (changed && one.at[changed] === chosen[changed] ? data.axes.length : 0);
    run = data.runs.reduce((best, one) => (fits(one) > fits(best) ? one : best));
    Object.assign(chosen, run.at);
  };

  const controls = document.getElementById("controls");
  const sliders = [];
  const slider = (name, most, text, changed) => {
    const output = make("output");
    const input = make("input", { type: "range", min: 0, max: most, step: 1, name });
    input.setAttribute("aria-label", name);
    input.addEventListener("input", () => { changed(Number(input.value)); show(); });
    controls.append(make("label", {}, name, input, output));
    return { input, output, text };
  };
  for (const axis of shown) {
    sliders.push(Object.assign(slider(
      axis.name, axis.values.length - 1, null,
      (place) => { chosen[axis.name] = axis.values[place]; nearest(axis.name); },
    ), { axis }));
  }
  const epoch = data.runs.some((one) => one.epochs)
    ? slider("epoch", 1, null, (place) => { step = place >= (run.epochs || []).length ? Infinity : place; })
    : null;

  const tip = document.getElementById("tip");
  const chance = (value) => (value < 1e-3 ? value.toExponential(0) : value.toPrecision(1));
  const percent = (value) => `${(100 * value).toFixed(1)} %`;
  const quantity = (own) => `${own.length} filter${own.length === 1 ? "" : "s"}`;
  const describe = (one) => {
    const rows = [];
    const add = (name, value) => { if (value !== undefined && value !== "") rows.push([name, value]); };
    add("best match", one.match && `${one.matchName || ""} ${one.match}`.trim());
    add("E-value", one.e !== undefined ? chance(one.e) : "no match at the threshold");
    add("planted motif", one.motif);
    add("average precision", one.average_precision);
    add("precision, recall", one.precision !== undefined && one.recall !== undefined
      ? `${percent(one.precision)}, ${percent(one.recall)}` : undefined);
    add("offset", one.offset !== undefined ? `${one.offset} nt` : undefined);
    add("AUROC lost without it", one.auroc_loss !== undefined ? one.auroc_loss.toFixed(4) : undefined);
    add("drives", one.drives);
    add("active sites", one.sites);
    return rows;
  };
  const place = (event) => {
    const x = event.clientX ?? 0, y = event.clientY ?? 0;
    tip.style.left = `${Math.min(x + 16, window.innerWidth - 340)}px`;
    tip.style.top = `${Math.min(y + 16, window.innerHeight - tip.offsetHeight - 8)}px`;
  };
  const hover = (tile, one) => {
    const open = (event) => {
      const list = make("dl");
      for (const [name, value] of describe(one)) {
        list.append(make("dt", { textContent: name }), make("dd", { textContent: value }));
      }
      tip.replaceChildren(make("b", { textContent: `filter ${one.n}` }), list);
      tip.hidden = false;
      place(event);
    };
    tile.addEventListener("mouseenter", open);
    tile.addEventListener("focus", open);
    tile.addEventListener("mousemove", place);
    for (const name of ["mouseleave", "blur"]) tile.addEventListener(name, () => { tip.hidden = true; });
  };

  const heightsOf = (one) => {
    if (step === Infinity || !run.kernels) {
      one.heights ??= bits(bytes(one.pwm));
      return { heights: one.heights, unit: (HIGH - 4) / 2, base: HIGH - 2 };
    }
    run.steps ??= new Int8Array(bytes(run.kernels).buffer);
    const size = run.width * 4;
    const start = (step * run.filters.length + one.n) * size;
    const heights = Float32Array.from(run.steps.subarray(start, start + size), (value) => value / 127);
    run.top ??= run.steps.reduce((top, value) => Math.max(top, Math.abs(value) / 127), 0.05);
    return { heights, unit: (HIGH / 2 - 3) / (1.4 * run.top), base: HIGH / 2 };
  };

  const tileOf = (one, factor) => {
    const canvas = make("canvas");
    const { heights, unit, base } = heightsOf(one);
    const width = heights.length / 4;
    const left = factor ? Math.floor((span - factor.width) / 2) : 0;
    const first = factor ? left + one.shift : 0;
    const band = factor ? [left, left + factor.width] : null;
    draw(canvas, heights, first, factor ? span : width, unit, base, band);
    const label = one.e === undefined ? "no match" : `E ${chance(one.e)}`;
    const loss = one.auroc_loss >= 0.0005 ? `, loses ${one.auroc_loss.toFixed(3)}` : "";
    const other = factor || one.e === undefined ? "" : ` ${one.matchName || one.match}`;
    const tile = make("figure", { className: "tile", tabIndex: 0 }, canvas,
      make("p", { textContent: `${one.n}: ${label}${other}${loss}` }));
    tile.dataset.filter = one.n;
    hover(tile, one);
    return tile;
  };

  const rows = document.getElementById("rows");
  const addRow = (title, small, head, filters, factor) => {
    const tiles = make("div", { className: "tiles" });
    tiles.append(...filters.map((one) => tileOf(one, factor)));
    if (!filters.length) tiles.append(make("div", { className: "none", textContent: "no filter" }));
    const left = make("div", {}, make("h2", {}, title, " ", make("small", { textContent: small })));
    if (head) left.append(head);
    const row = make("section", { className: "row" }, left, tiles);
    row.dataset.factor = title;
    rows.append(row);
  };

  const show = () => {
    for (const { input, output, axis } of sliders) {
      input.value = axis.values.indexOf(chosen[axis.name]);
      output.textContent = chosen[axis.name];
    }
    if (epoch) {
      const known = run.epochs || [];
      epoch.input.max = known.length;
      if (step !== Infinity) step = Math.min(step, known.length - 1);
      if (step < 0) step = Infinity;
      epoch.input.value = step === Infinity ? known.length : step;
      epoch.output.textContent = step === Infinity ? "end" : known[step];
    }
    const numbers = [["AUROC", run.auroc], ["relevant match", run.match], ["by chance", run.null]];
    document.getElementById("run").replaceChildren(make("b", { textContent: run.name }),
      numbers.filter(([, value]) => value !== null).map(([name, value]) => ` \u00b7 ${name} ${value}`).join(""),
      ` \u00b7 run ${run.id.slice(0, 8)}`);
    rows.replaceChildren();
    tip.hidden = true;
    const by = (one, other) => (one.e ?? 99) - (other.e ?? 99);
    for (const factor of data.factors) {
      const canvas = make("canvas");
      draw(canvas, factor.heights, Math.floor((span - factor.width) / 2), span, (HIGH - 4) / 2, HIGH - 2);
      const own = run.filters.filter((one) => one.factor === factor.name).sort(by);
      addRow(factor.name, factor.id, canvas, own, factors.get(factor.name));
    }
    const rest = run.filters.filter((one) => !one.factor);
    const other = rest.filter((one) => one.e !== undefined).sort(by);
    addRow("another motif", quantity(other), null, other, null);
    const none = rest.filter((one) => one.e === undefined);
    none.sort((a, b) => (b.auroc_loss ?? 0) - (a.auroc_loss ?? 0));
    addRow("no match", quantity(none), null, none, null);
  };
  nearest();
  show();
  document.body.dataset.ready = "yes";
})();
