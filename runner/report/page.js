// The page's own script, and the only one: the policy in the page's head names its hash. It reads nothing from elsewhere
// and keeps nothing; without it the page says the same. It lets tables be sorted, filtered and searched, and shows the
// run under the pointer in every figure and in its row.
'use strict';
(() => {
  const element = (tag, properties, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  // ---- tables: sorting, filters, search ----

  const units = {k: 1e3, M: 1e6, B: 1e9, T: 1e12};
  const numberOf = (text) => {
    const parts = /^([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*([kMBT]?)\s*%?$/.exec(text.trim());
    return parts ? Number(parts[1]) * (units[parts[2]] ?? 1) : NaN;
  };
  const textOf = (cell) => cell.textContent.trim();
  const valueOf = (cell) => (cell.dataset.v === undefined ? numberOf(textOf(cell)) : Number(cell.dataset.v));
  const isMissing = (cell) => /^–?$/.test(textOf(cell));
  const wordOf = (text) => text.trim().toLowerCase().replace(/\s+/g, '-');

  const holds = {
    '=': (a, b) => a === b,
    '!=': (a, b) => a !== b,
    '<': (a, b) => a < b,
    '<=': (a, b) => a <= b,
    '>': (a, b) => a > b,
    '>=': (a, b) => a >= b,
  };

  class Table {
    constructor(table) {
      this.table = table;
      this.body = table.tBodies[0];
      this.rows = [...this.body.rows];
      this.heads = [...table.tHead.rows[0].cells];
      this.names = this.heads.map((head) => wordOf(head.textContent));
      this.sorted = {column: -1, down: false};
      this.heads.forEach((head, column) => this.addSorting(head, column));
      this.addTools();
    }

    addSorting(head, column) {
      if (!this.names[column]) return;
      const button = element('button', {type: 'button', className: 'sort', title: 'Sort by this column'});
      button.append(...head.childNodes);
      button.addEventListener('click', () => this.sortBy(column));
      head.append(button);
    }

    // Ascending, descending, then as it was. What is missing comes last either way.
    sortBy(column) {
      const again = this.sorted.column === column;
      if (again && this.sorted.down) this.sorted = {column: -1, down: false};
      else this.sorted = {column, down: again};
      this.heads.forEach((head, i) => {
        if (i === this.sorted.column) head.setAttribute('aria-sort', this.sorted.down ? 'descending' : 'ascending');
        else head.removeAttribute('aria-sort');
      });
      let order = this.rows;
      if (this.sorted.column >= 0) {
        const cells = this.rows.map((row) => row.cells[column]);
        const numeric = cells.every((cell) => isMissing(cell) || !Number.isNaN(valueOf(cell)));
        const keys = cells.map((cell) => (isMissing(cell) ? null : numeric ? valueOf(cell) : textOf(cell)));
        const sign = this.sorted.down ? -1 : 1;
        const places = this.rows.map((_, i) => i);
        const letters = new Intl.Collator('en', {numeric: true});
        places.sort((a, b) => {
          if (keys[a] === null || keys[b] === null) return (keys[a] === null) - (keys[b] === null) || a - b;
          return sign * (numeric ? keys[a] - keys[b] : letters.compare(keys[a], keys[b])) || a - b;
        });
        order = places.map((i) => this.rows[i]);
      }
      this.body.append(...order);
    }

    addTools() {
      this.search = element('input', {type: 'search', placeholder: 'loss<3 state=done w4', spellcheck: false});
      this.search.setAttribute('aria-label', 'Search and filter this table: words, or conditions on columns');
      this.search.addEventListener('input', () => this.filter());
      this.choices = [];
      const tools = element('div', {className: 'tools'}, element('label', {}, 'Find ', this.search));
      this.heads.forEach((head, column) => {
        const choice = column > 0 && head.classList.contains('text') ? this.choiceOf(column) : null;
        if (choice) tools.append(choice);
      });
      this.counted = element('output', {className: 'quiet'});
      tools.append(this.counted);
      (this.table.closest('.scroll') ?? this.table).before(tools);
      this.filter();
    }

    // A choice among the values of a column of text with few of them.
    choiceOf(column) {
      const most = 12;
      const values = [...new Set(this.rows.map((row) => textOf(row.cells[column])))].sort();
      if (values.length < 2 || values.length > most || !this.names[column]) return null;
      const select = element('select', {}, element('option', {value: ''}, 'all'));
      for (const value of values) select.append(element('option', {value: '=' + value}, value || 'none given'));
      select.addEventListener('change', () => this.filter());
      this.choices.push({column, select});
      return element('label', {}, textOf(this.heads[column]) + ' ', select);
    }

    // "loss<3" is a condition on a column, by the words of its head; anything else is to be found in the row.
    conditionOf(word) {
      const parts = /^([^<>=!]+)(<=|>=|!=|=|<|>)(.+)$/.exec(word);
      const column = parts ? this.names.indexOf(wordOf(parts[1])) : -1;
      if (parts && column < 0) this.unknown = parts[1];
      if (column < 0) return (row) => row.textContent.toLowerCase().includes(word.toLowerCase());
      const number = numberOf(parts[3]);
      return (row) => {
        const cell = row.cells[column];
        const seen = numberOf(textOf(cell));  // as it is shown: 2.00M is not less than 2M
        const value = Number.isNaN(seen) ? valueOf(cell) : seen;
        if (!Number.isNaN(number) && !Number.isNaN(value))
          return holds[parts[2]](value, number) || (parts[2] === '=' && textOf(cell) === parts[3]);
        if (isMissing(cell)) return parts[2] === '!=';
        return holds[parts[2]](textOf(cell).toLowerCase(), parts[3].toLowerCase());
      };
    }

    filter() {
      this.unknown = '';
      const tests = this.search.value.split(/\s+/).filter(Boolean).map((word) => this.conditionOf(word));
      for (const {column, select} of this.choices)
        if (select.value) tests.push((row) => '=' + textOf(row.cells[column]) === select.value);
      let shown = 0;
      for (const row of this.rows) {
        row.hidden = !tests.every((test) => test(row));
        shown += !row.hidden;
      }
      this.counted.value = this.unknown
        ? `no column ${this.unknown}; there are ${this.names.filter(Boolean).join(', ')}`
        : `${shown} of ${this.rows.length} rows`;
    }
  }

  // ---- figures: the run under the pointer ----

  class Figure {
    constructor(figure, links) {
      this.figure = figure;
      this.links = links;
      this.svg = figure.querySelector('svg');
      this.marks = [];
      for (const mark of (figure.dataset.marks ?? '').split(' ').filter(Boolean)) {
        const [run, x, y] = mark.split(',').map(Number);
        this.marks.push({run, x, y});
      }
      this.curves = [];
      for (const curve of (figure.dataset.curves ?? '').split(';').filter(Boolean)) {
        const [run, places] = curve.split(':');
        this.curves.push({run: Number(run), places: places.split(' ').map((place) => place.split(',').map(Number))});
      }
      this.order = [...this.marks, ...this.curves.map(({run, places}) => ({run, x: places.at(-1)[0], y: places.at(-1)[1]}))];
      this.order.sort((a, b) => a.x - b.x || b.y - a.y);
      this.at = -1;
      this.over = document.createElementNS(this.svg.namespaceURI, 'g');
      this.over.setAttribute('class', 'over');
      this.svg.append(this.over);
      this.svg.setAttribute('tabindex', '0');
      this.svg.setAttribute('role', 'group');
      this.svg.setAttribute('aria-roledescription', 'figure; arrow keys go from run to run, Enter to its row');
      this.svg.addEventListener('pointermove', (event) => this.point(event));
      this.svg.addEventListener('pointerleave', () => links.show([], null));
      this.svg.addEventListener('click', (event) => this.point(event) && links.pin());
      this.svg.addEventListener('keydown', (event) => this.key(event));
      this.svg.addEventListener('blur', () => links.show([], null));
    }

    // The mark at the place, or else the curve that passes by.
    runsAt(x, y) {
      const reach = 9;
      let best = {distance: reach, x: 0, y: 0, run: -1};
      for (const mark of this.marks) {
        const distance = Math.hypot(mark.x - x, mark.y - y);
        if (distance < best.distance) best = {distance, x: mark.x, y: mark.y, run: mark.run};
      }
      if (best.run < 0)
        for (const {run, places} of this.curves)
          for (let i = 1; i < places.length; i++) {
            const [ax, ay] = places[i - 1], [bx, by] = places[i];
            if (x < ax - reach || x > bx + reach) continue;
            const along = Math.hypot(bx - ax, by - ay) || 1;
            const part = Math.min(1, Math.max(0, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / along ** 2));
            const distance = Math.hypot(ax + part * (bx - ax) - x, ay + part * (by - ay) - y);
            if (distance < best.distance) best = {distance, x, y, run};
          }
      if (best.run < 0) return [];
      const same = this.marks.filter((mark) => mark.x === best.x && mark.y === best.y).map((mark) => mark.run);
      return [...new Set([best.run, ...same])];
    }

    point(event) {
      const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
      const runs = this.runsAt(place.x, place.y);
      this.links.show(runs, {x: event.clientX, y: event.clientY});
      return runs.length > 0;
    }

    key(event) {
      const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
      if (step) {
        event.preventDefault();
        this.at = this.at < 0 && step < 0 ? this.order.length - 1 : (this.at + step + this.order.length) % this.order.length;
        const {run, x, y} = this.order[this.at];
        const place = new DOMPoint(x, y).matrixTransform(this.svg.getScreenCTM());
        this.links.show([run], place);
      } else if (event.key === 'Enter') {
        this.links.pin();
      }
    }

    // Draws rings and curves of these runs over the figure.
    light(runs) {
      this.over.replaceChildren();
      if (!runs.length) return;
      const put = (tag, attributes) => {
        const made = document.createElementNS(this.svg.namespaceURI, tag);
        for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
        this.over.append(made);
      };
      for (const {run, places} of this.curves)
        if (runs.includes(run)) put('polyline', {points: places.map((place) => place.join(',')).join(' ')});
      const rings = new Set();
      for (const {run, x, y} of this.marks)
        if (runs.includes(run)) rings.add(x + ',' + y);
      for (const ring of rings) {
        const [x, y] = ring.split(',');
        put('circle', {cx: x, cy: y, r: 8});
      }
    }

    has(run) {
      return this.marks.some((mark) => mark.run === run) || this.curves.some((curve) => curve.run === run);
    }
  }

  // What joins rows and figures: the runs that are shown, and those that stay.
  class Links {
    constructor(table) {
      this.table = table;
      this.rows = table ? table.rows : [];
      this.runs = [];
      this.pinned = [];
      this.tip = element('div', {className: 'tip', hidden: true});
      this.tip.setAttribute('role', 'status');
      document.body.append(this.tip);
      this.figures = [...document.querySelectorAll('figure[data-marks], figure[data-curves]')]
        .filter((figure) => figure.querySelector('svg')).map((figure) => new Figure(figure, this));
      this.rows.forEach((row, run) => this.addRow(row, run));
      document.addEventListener('keydown', (event) => event.key === 'Escape' && this.clear());
    }

    addRow(row, run) {
      const cell = row.cells[0];
      const button = element('button', {type: 'button', className: 'run', title: 'Show this run in the figures'});
      button.append(...cell.childNodes);
      cell.append(button);
      row.addEventListener('pointerenter', () => this.show([run], null));
      row.addEventListener('pointerleave', () => this.show([], null));
      button.addEventListener('focus', () => this.show([run], null));
      button.addEventListener('click', () => {
        this.show([run], null);
        this.pin(false);
        const first = this.figures.find((figure) => figure.has(run));
        if (first) first.figure.scrollIntoView({block: 'center'});
      });
    }

    // Shows these runs; none: those that stay. With a place, what is known of the first of them is shown there.
    show(runs, place) {
      if (!runs.length) runs = this.pinned;
      this.light(runs);
      this.tip.hidden = !(place && runs.length && runs !== this.pinned);
      if (this.tip.hidden) return;
      const row = this.rows[runs[0]];
      const list = element('dl', {});
      this.table.heads.forEach((head, i) => {
        if (i > 0 && textOf(head) && !isMissing(row.cells[i]))
          list.append(element('dt', {}, textOf(head)), element('dd', {}, textOf(row.cells[i])));
      });
      this.tip.replaceChildren(element('b', {}, textOf(row.cells[0])), list);
      if (runs.length > 1) {
        const others = runs.slice(1, 7).map((run) => textOf(this.rows[run].cells[0]));
        if (runs.length > 7) others.push('…');
        this.tip.append(element('p', {}, 'here too: ' + others.join(', ')));
      }
      const margin = 12, width = document.documentElement.clientWidth, height = document.documentElement.clientHeight;
      const {offsetWidth, offsetHeight} = this.tip;
      const left = place.x + margin + offsetWidth < width ? place.x + margin : place.x - margin - offsetWidth;
      const top = place.y + margin + offsetHeight < height ? place.y + margin : place.y - margin - offsetHeight;
      this.tip.style.left = Math.max(4, Math.min(left, width - offsetWidth - 4)) + 'px';
      this.tip.style.top = Math.max(4, top) + 'px';
    }

    light(runs) {
      if (runs.join() === this.runs.join()) return;
      for (const run of this.runs) this.rows[run]?.classList.remove('lit');
      for (const run of runs) this.rows[run]?.classList.add('lit');
      for (const figure of this.figures) figure.light(runs);
      this.runs = runs;
    }

    // Lets the shown runs stay, until Escape; goes to the row of the first.
    pin(go = true) {
      this.pinned = this.runs;
      const row = this.rows[this.pinned[0]];
      if (!go || !row) return;
      this.tip.hidden = true;
      if (row.hidden) {
        this.table.search.value = '';
        for (const {select} of this.table.choices) select.value = '';
        this.table.filter();
      }
      row.scrollIntoView({block: 'center'});
      row.cells[0].querySelector('button').focus({preventScroll: true});
    }

    clear() {
      this.pinned = [];
      this.show([], null);
    }
  }

  const tables = [...document.querySelectorAll('table.runs, table.rows')].map((table) => new Table(table));
  const main = tables.find(({table}) => table.dataset.links !== undefined);
  if (main) new Links(main);
})();
