'use strict';
(() => {
  document.documentElement.classList.add('js');
  const make = (tag, text, cls) => {
    const e = document.createElement(tag);
    if (text !== undefined) e.textContent = text; // never as markup
    if (cls) e.className = cls;
    return e;
  };

  // Without a script everything is open. With one, what is long waits to be asked
  // for, and printing opens all again.
  const folds = [...document.querySelectorAll('details')];
  for (const d of folds) if (!('keep' in d.dataset) && ('close' in d.dataset || d.classList.contains('checks') || d.querySelector('[data-long]'))) d.open = false;
  let before = null;
  // A table that is wider than a sheet is printed smaller: cut digits are worse.
  const sheet = 680, screenFont = 13, printFont = 10; // px
  addEventListener('beforeprint', () => {
    before = folds.map((d) => d.open);
    for (const d of folds) d.open = true;
    for (const t of document.querySelectorAll('table.numbers')) t.style.zoom = Math.min(1, sheet / (t.scrollWidth * printFont / screenFont));
  });
  addEventListener('afterprint', () => {
    if (before) folds.forEach((d, i) => { d.open = before[i]; });
    for (const t of document.querySelectorAll('table.numbers')) t.style.zoom = '';
  });

  // Tables sort by a click on a column's head: up, down, as it was. Absent values
  // stay last.
  const value = (cell) => {
    const s = cell.textContent;
    if (s === '') return null;
    const n = s === 'inf' ? Infinity : s === '-inf' ? -Infinity : Number(s);
    return Number.isNaN(n) ? s : n;
  };
  const compare = (a, b) => (typeof a === 'number' && typeof b === 'number' ? a - b
    : typeof a === typeof b ? a.localeCompare(b, 'en', { numeric: true }) : typeof a === 'number' ? -1 : 1);
  for (const table of document.querySelectorAll('table.numbers')) {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells], original = [...body.rows];
    heads.forEach((th, i) => {
      const numeric = original.every((r) => typeof value(r.cells[i]) !== 'string');
      if (numeric) for (const r of [th, ...original.map((row) => row.cells[i])]) r.classList.add('n');
      const button = make('button', th.textContent);
      button.type = 'button';
      th.replaceChildren(button);
      th.setAttribute('aria-sort', 'none');
      button.addEventListener('click', () => {
        const next = { none: 'ascending', ascending: 'descending', descending: 'none' }[th.getAttribute('aria-sort')];
        for (const h of heads) h.setAttribute('aria-sort', 'none');
        th.setAttribute('aria-sort', next);
        const rows = [...original];
        const sign = next === 'descending' ? -1 : 1;
        if (next !== 'none') rows.sort((p, q) => {
          const a = value(p.cells[i]), b = value(q.cells[i]);
          if (a === null || b === null) return (a === null) - (b === null);
          return sign * compare(a, b);
        });
        body.append(...rows);
      });
    });
  }

  const tip = document.getElementById('tip');
  const NS = 'http://www.w3.org/2000/svg';

  function figure(box) {
    const stage = box.querySelector('.stage'), svg = stage.querySelector('svg'), said = box.querySelector('.said');
    const data = JSON.parse(box.querySelector('script[type="application/json"]').textContent);
    const frames = (data.frames || []).map(([section, label, left, right, top, bottom]) => ({ section, label, left, right, top, bottom }));
    const spots = (data.spots || []).map(([panel, series, x, y, marked, at, val, interval, single]) => ({ panel, series, x, y, marked, at, val, interval, single }));
    const whole = svg.viewBox.baseVal, home = { x: whole.x, y: whole.y, w: whole.width, h: whole.height };
    let view = { ...home }, drag = null, current = null;
    box.querySelector('.tools').hidden = false;

    const over = document.createElementNS(NS, 'g');
    svg.append(over);
    const shape = (tag, cls, attrs) => {
      const e = document.createElementNS(NS, tag);
      e.setAttribute('class', cls);
      for (const k in attrs) e.setAttribute(k, attrs[k]);
      over.append(e);
    };

    const place = (ev) => new DOMPoint(ev.clientX, ev.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const away = (s, p) => Math.hypot(s.x - p.x, s.y - p.y) - (s.marked ? 4 : 0);
    const nearest = (list, p) => list.reduce((best, s) => (best && away(best, p) <= away(s, p) ? best : s), null);
    const words = (s) => s.series + ': ' + s.val + (s.interval ? ' [' + s.interval + ']' : '');

    // beside lists what the other series of the section have at the same place; single
    // runs are left to those who point at them.
    function beside(spot) {
      const section = frames[spot.panel].section, seen = new Set([spot.panel + spot.series]), list = [];
      for (const s of spots) {
        const key = s.panel + s.series;
        if (!s.marked || s.single || frames[s.panel].section !== section || s.at !== spot.at || seen.has(key)) continue;
        seen.add(key);
        list.push(s);
      }
      return list;
    }

    function show(spot, client) {
      if (current !== spot) {
        current = spot;
        over.replaceChildren();
        const section = frames[spot.panel].section;
        for (const f of frames) if (f.section === section) shape('line', 'cross', { x1: spot.x, x2: spot.x, y1: f.top, y2: f.bottom });
        const others = beside(spot);
        for (const s of [spot, ...others]) shape('circle', 'halo', { cx: s.x, cy: s.y, r: s === spot ? 4 : 3 });
        tip.replaceChildren(make('b', spot.at), make('span', words(spot)));
        if (others.length) {
          const rest = make('div', undefined, 'beside');
          for (const s of others.slice(0, 8)) rest.append(make('div', words(s)));
          tip.append(rest);
        }
      }
      tip.hidden = false;
      const room = document.documentElement.clientWidth, w = tip.offsetWidth, h = tip.offsetHeight;
      let x = client.x + 14, y = client.y + 14;
      if (x + w > room - 4) x = Math.max(4, client.x - w - 14);
      if (y + h > innerHeight - 4) y = Math.max(4, client.y - h - 14);
      tip.style.left = x + scrollX + 'px';
      tip.style.top = y + scrollY + 'px';
    }
    function hide() {
      current = null;
      over.replaceChildren();
      tip.hidden = true;
    }

    function look(next) {
      const w = Math.min(home.w, Math.max(home.w / 20, next.w)), h = w * home.h / home.w;
      view = {
        w, h,
        x: Math.min(home.x + home.w - w, Math.max(home.x, next.x)),
        y: Math.min(home.y + home.h - h, Math.max(home.y, next.y)),
      };
      svg.setAttribute('viewBox', [view.x, view.y, view.w, view.h].map((v) => +v.toFixed(3)).join(' '));
      stage.classList.toggle('zoomed', view.w < home.w);
    }
    function zoom(factor, p) {
      const w = Math.min(home.w, Math.max(home.w / 20, view.w / factor)), k = w / view.w;
      look({ w, x: p.x - (p.x - view.x) * k, y: p.y - (p.y - view.y) * k });
    }
    const middle = () => ({ x: view.x + view.w / 2, y: view.y + view.h / 2 });
    const act = { in: () => zoom(1.5, middle()), out: () => zoom(1 / 1.5, middle()), reset: () => look(home) };

    svg.addEventListener('pointermove', (ev) => {
      if (drag && drag.id === ev.pointerId) {
        const ctm = svg.getScreenCTM();
        look({ ...drag.view, x: drag.view.x - (ev.clientX - drag.x) / ctm.a, y: drag.view.y - (ev.clientY - drag.y) / ctm.d });
        hide();
        return;
      }
      const p = place(ev);
      const inside = frames.findIndex((f) => p.x >= f.left - 6 && p.x <= f.right + 6 && p.y >= f.top - 6 && p.y <= f.bottom + 6);
      const spot = inside < 0 ? null : nearest(spots.filter((s) => s.panel === inside), p);
      if (spot) show(spot, { x: ev.clientX, y: ev.clientY });
      else hide();
    });
    svg.addEventListener('pointerleave', () => { if (!drag) hide(); });
    svg.addEventListener('pointerdown', (ev) => {
      if (ev.button !== 0) return;
      stage.focus({ preventScroll: true });
      if (view.w < home.w) {
        drag = { id: ev.pointerId, x: ev.clientX, y: ev.clientY, view };
        svg.setPointerCapture(ev.pointerId);
        stage.classList.add('held');
        ev.preventDefault();
      }
    });
    const release = () => { drag = null; stage.classList.remove('held'); };
    svg.addEventListener('pointerup', release);
    svg.addEventListener('pointercancel', release);
    // A wheel over the page scrolls it; only a figure that was chosen takes it.
    svg.addEventListener('wheel', (ev) => {
      if (document.activeElement !== stage && !ev.ctrlKey && !ev.metaKey) return;
      ev.preventDefault();
      zoom(Math.exp(-Math.max(-300, Math.min(300, ev.deltaY)) / 400), place(ev));
      hide();
    }, { passive: false });
    svg.addEventListener('dblclick', () => look(home));

    // By keyboard: left and right through a series, up and down to the next one.
    const walk = spots.some((s) => s.marked) ? spots.filter((s) => s.marked) : spots;
    const series = [...new Set(walk.map((s) => s.panel + '\n' + s.series))];
    const keyOf = (s) => s.panel + '\n' + s.series;
    function step(dx, ds) {
      if (!walk.length) return;
      let next = walk[0];
      if (current && walk.includes(current)) {
        const k = series[(series.indexOf(keyOf(current)) + ds + series.length) % series.length];
        const row = walk.filter((s) => keyOf(s) === k).sort((a, b) => a.x - b.x || a.y - b.y);
        const at = ds ? row.indexOf(nearest(row, { x: current.x, y: row[0].y })) : row.indexOf(current) + dx;
        next = row[Math.min(row.length - 1, Math.max(0, at))];
      }
      const c = new DOMPoint(next.x, next.y).matrixTransform(svg.getScreenCTM());
      show(next, c);
      said.textContent = frames[next.panel].label + ', ' + next.at + ', ' + words(next);
    }
    stage.addEventListener('keydown', (ev) => {
      if (ev.ctrlKey || ev.metaKey || ev.altKey) return;
      const keys = {
        ArrowRight: () => step(1, 0), ArrowLeft: () => step(-1, 0), ArrowDown: () => step(0, 1), ArrowUp: () => step(0, -1),
        '+': act.in, '=': act.in, '-': act.out, 0: act.reset, Escape: () => { hide(); look(home); },
      };
      if (!keys[ev.key]) return;
      ev.preventDefault();
      keys[ev.key]();
    });
    stage.addEventListener('blur', hide);
    for (const b of box.querySelectorAll('button[data-do]')) b.addEventListener('click', () => act[b.dataset.do]());
    addEventListener('beforeprint', () => { hide(); look(home); });
  }
  for (const f of document.querySelectorAll('figure')) figure(f);
})();
