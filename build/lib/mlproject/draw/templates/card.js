(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  for (const layer of all(".layer")) {
    const grid = layer.querySelector(".filters");
    const cards = all(".filter", grid);
    const chips = all(".chip[data-show]", layer);
    const named = layer.querySelector(".chip.class");
    const show = (test, chip) => {
      cards.forEach((card) => { card.hidden = !test(card); });
      [...chips, named].forEach((other) => other.classList.toggle("on", other === chip));
      named.hidden = chip !== named;
    };
    chips.forEach((chip) => chip.addEventListener("click", () => {
      const kind = chip.dataset.show;
      show((card) => kind === "all" || card.dataset.kind === kind, chip);
    }));
    named.addEventListener("click", () => chips[0].click());
    layer.showClass = (name) => {
      named.textContent = `${name} \u00d7`;
      show((card) => JSON.parse(card.dataset.classes).includes(name), named);
      layer.scrollIntoView({ behavior: "smooth", block: "start" });
    };
    layer.querySelector("select").addEventListener("change", (event) => {
      const key = event.target.value;
      const number = (card) => Number(card.dataset.number);
      const orders = {
        number: (a, b) => number(a) - number(b),
        evalue: (a, b) => a.dataset.evalue - b.dataset.evalue || number(a) - number(b),
        loss: (a, b) => b.dataset.loss - a.dataset.loss || number(a) - number(b),
        sites: (a, b) => b.dataset.sites - a.dataset.sites || number(a) - number(b),
        name: (a, b) => (a.dataset.evalue > 1e8) - (b.dataset.evalue > 1e8)
          || a.dataset.name.localeCompare(b.dataset.name) || a.dataset.evalue - b.dataset.evalue,
      };
      grid.append(...cards.sort(orders[key]));
    });
  }

  for (const button of all(".motif button")) {
    button.addEventListener("click", () => {
      document.getElementById(`layer-${button.dataset.layer}`).showClass(button.dataset.class);
    });
  }

  for (const link of all("nav a")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      document.querySelector(link.getAttribute("href")).scrollIntoView({ behavior: "smooth" });
    });
  }

  const light = (key) => {
    for (const chart of all("#test svg.chart")) {
      chart.classList.toggle("focus", key !== null);
      all(".line[data-key]", chart).forEach((line) => {
        line.classList.toggle("lit", line.dataset.key === key);
      });
    }
  };
  for (const place of all("#test [data-key]")) {
    place.addEventListener("mouseenter", () => light(place.dataset.key));
    place.addEventListener("mouseleave", () => light(null));
  }
})();
