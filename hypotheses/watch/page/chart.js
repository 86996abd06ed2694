'use strict';

// A chart draws lines over the time that all charts share. It knows nothing of
// where its numbers come from: get(field) gives the points [{t, v}] in order,
// with v null where there is none.

// LEFT is where every chart's time begins, so that they stand under each other.
const LEFT = 66;

// ticksOf are round steps over [0, top], at most n of them.
function ticksOf(top, n) {
  const raw = top / n, mag = Math.pow(10, Math.floor(Math.log10(raw)));
  const step = [1, 2, 5, 10].map((m) => m * mag).find((s) => s >= raw * 0.999);
  const out = [];
  for (let v = 0; v <= top * 1.0001; v += step) out.push(v);
  return out;
}

// timeStep is a round number of seconds, so that n steps fill the span.
function timeStep(span, n) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];
  return steps.find((s) => span / s <= n) || 86400 * Math.ceil(span / n / 86400);
}

// short is a number for people: three digits.
function short(v) {
  if (v === null || v === undefined) return '–';
  const a = Math.abs(v);
  if (a >= 1e6) return (v / 1e6).toFixed(a >= 1e7 ? 1 : 2) + 'M';
  if (a >= 1e4) return (v / 1e3).toFixed(a >= 1e5 ? 0 : 1) + 'k';
  if (a >= 100 || a === 0) return v.toFixed(0);
  if (a >= 10) return v.toFixed(1);
  if (a >= 1) return v.toFixed(2);
  return v.toPrecision(2).replace(/e.*/, '') === '0.0' ? '0' : String(Number(v.toPrecision(2)));
}

// clockTime is m:ss or h:mm:ss since the page's second 0.
function clockTime(s) {
  s = Math.max(0, Math.round(s));
  const two = (n) => String(n).padStart(2, '0');
  const h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
  return h ? h + ':' + two(m) + ':' + two(s % 60) : m + ':' + two(s % 60);
}

class Chart {
  // lines are {field, name, color, dash, settles, scale}.
  constructor(parent, spec, hover) {
    this.spec = spec;
    this.box = document.createElement('div');
    this.box.className = 'chart';
    this.box.tabIndex = 0;
    this.box.id = 'chart-' + spec.id;
    const h = document.createElement('h3');
    h.append(spec.title + ' ');
    const unit = document.createElement('span');
    unit.className = 'unit';
    unit.textContent = spec.unit;
    h.append(unit);
    const legend = document.createElement('span');
    legend.className = 'legend';
    h.append(legend);
    this.values = spec.lines.map((l) => {
      const item = document.createElement('span'), mark = document.createElement('i'), value = document.createElement('b');
      mark.dataset.color = l.color;
      mark.style.borderTopStyle = l.dash ? 'dashed' : 'solid';
      mark.style.borderTopColor = 'var(' + l.color + ')';
      value.dataset.field = l.field;
      item.append(mark, l.name + ' ', value);
      legend.append(item);
      return value;
    });
    this.canvas = document.createElement('canvas');
    this.canvas.setAttribute('role', 'img');
    this.canvas.setAttribute('aria-label', spec.title + ' over time');
    this.box.append(h, this.canvas);
    parent.append(this.box);
    const at = (e) => {
      const r = this.canvas.getBoundingClientRect();
      hover(this.timeAt(e.clientX - r.left));
    };
    this.canvas.addEventListener('pointermove', at);
    this.canvas.addEventListener('pointerdown', at);
    this.canvas.addEventListener('pointerleave', () => hover(null));
  }

  timeAt(x) {
    if (!this.area) return null;
    const a = this.area;
    if (x < a.x0 - 4 || x > a.x1 + 4) return null;
    return a.from + (x - a.x0) / (a.x1 - a.x0) * (a.to - a.from);
  }

  // draw draws the lines in [view.from, view.to]; view also has get, spans,
  // cross, settled, step and style.
  draw(view) {
    const dpr = window.devicePixelRatio || 1, w = this.canvas.clientWidth, h = this.canvas.clientHeight;
    if (!w || !h) return;
    if (this.canvas.width !== Math.round(w * dpr)) this.canvas.width = Math.round(w * dpr);
    if (this.canvas.height !== Math.round(h * dpr)) this.canvas.height = Math.round(h * dpr);
    const g = this.canvas.getContext('2d');
    g.setTransform(dpr, 0, 0, dpr, 0, 0);
    g.clearRect(0, 0, w, h);
    g.font = '11px system-ui, sans-serif';
    const data = this.spec.lines.map((l) => view.get(l.field).map((p) => ({t: p.t, v: p.v === null ? null : p.v * (l.scale || 1)})));
    let top = 0;
    for (const line of data) for (const p of line) if (p.v !== null && p.t >= view.from && p.t <= view.to) top = Math.max(top, p.v);
    top = top > 0 ? top * 1.08 : 1;
    if (this.spec.atLeast) top = Math.max(top, this.spec.atLeast);
    const a = this.area = {x0: LEFT, x1: w - 8, y0: h - 18, y1: 6, from: view.from, to: view.to};
    const X = (t) => a.x0 + (t - a.from) / (a.to - a.from) * (a.x1 - a.x0), Y = (v) => a.y0 - v / top * (a.y0 - a.y1);
    this.backdrop(g, view, a, X);
    this.axes(g, view, a, X, Y, top);
    g.save();
    g.beginPath();
    g.rect(a.x0, a.y1 - 2, a.x1 - a.x0, a.y0 - a.y1 + 4);
    g.clip();
    this.spec.lines.forEach((l, k) => this.line(g, view, l, data[k], X, Y));
    g.restore();
    this.readout(g, view, a, data, X, Y);
  }

  // backdrop shades the measured windows and marks where arms begin.
  backdrop(g, view, a, X) {
    view.spans.forEach((s, i) => {
      const end = i + 1 < view.spans.length ? view.spans[i + 1].t : view.now;
      const x0 = Math.max(a.x0, X(s.t)), x1 = Math.min(a.x1, X(end));
      if (x1 <= x0) return;
      if (s.phase === 'measuring') {
        g.fillStyle = view.style('--measuring');
        g.fillRect(x0, a.y1, x1 - x0, a.y0 - a.y1);
      } else if (s.phase === 'priming' || s.phase === 'warm-up') {
        g.fillStyle = view.style('--other');
        g.fillRect(x0, a.y1, x1 - x0, a.y0 - a.y1);
      }
      if (s.phase === 'settling' && s.arm && X(s.t) >= a.x0 && view.to - view.from < 1800) {
        g.strokeStyle = view.style('--line');
        g.setLineDash([2, 3]);
        g.beginPath(); g.moveTo(X(s.t), a.y0); g.lineTo(X(s.t), a.y1); g.stroke();
        g.setLineDash([]);
      }
    });
  }

  axes(g, view, a, X, Y, top) {
    g.textBaseline = 'middle';
    g.textAlign = 'right';
    g.lineWidth = 1;
    const ticks = ticksOf(top, 4), digits = ticks.length > 1 && top < 1e4 ? Math.max(0, -Math.floor(Math.log10(ticks[1]) + 1e-9)) : -1;
    for (const v of ticks) {
      g.strokeStyle = view.style('--grid');
      g.beginPath(); g.moveTo(a.x0, Y(v)); g.lineTo(a.x1, Y(v)); g.stroke();
      g.fillStyle = view.style('--dim');
      g.fillText(digits < 0 ? short(v) : v.toFixed(digits), a.x0 - 5, Y(v));
    }
    this.timeAxis(g, view, a, X);
  }

  timeAxis(g, view, a, X) {
    g.fillStyle = view.style('--dim');
    const step = timeStep(a.to - a.from, (a.x1 - a.x0) / 62);
    g.textBaseline = 'top';
    g.textAlign = 'center';
    for (let t = Math.ceil(Math.max(0, a.from) / step) * step; t <= a.to; t += step) {
      if (X(t) < a.x0 + 8 || X(t) > a.x1 - 10) continue;
      g.fillText(clockTime(t), X(t), a.y0 + 5);
    }
    g.strokeStyle = view.style('--line');
    g.beginPath(); g.moveTo(a.x0, a.y0); g.lineTo(a.x1, a.y0); g.stroke();
  }

  // line draws one line, broken where values are absent. What is newer than the
  // oldest request that may still be open is drawn thin: it still fills.
  line(g, view, l, points, X, Y) {
    g.strokeStyle = g.fillStyle = view.style(l.color);
    g.setLineDash(l.dash || []);
    g.lineJoin = 'round';
    let prev = null;
    points.forEach((p, i) => {
      if (p.v === null) { prev = null; return; }
      const open = l.settles && p.t > view.settled;
      g.globalAlpha = open ? 0.45 : 1;
      g.lineWidth = open ? 1.2 : 1.8;
      const next = points[i + 1];
      if (prev && p.t - prev.t <= view.step * 1.5) {
        g.beginPath(); g.moveTo(X(prev.t), Y(prev.v)); g.lineTo(X(p.t), Y(p.v)); g.stroke();
      } else if (!next || next.v === null || next.t - p.t > view.step * 1.5) {
        g.beginPath(); g.arc(X(p.t), Y(p.v), 1.8, 0, 7); g.fill();
      }
      prev = p;
    });
    g.globalAlpha = 1;
    g.setLineDash([]);
  }

  // readout puts the values under the crosshair, or else the newest, into the
  // legend.
  readout(g, view, a, data, X, Y) {
    const cross = view.cross;
    if (cross !== null) {
      g.strokeStyle = view.style('--cross');
      g.lineWidth = 1;
      g.beginPath(); g.moveTo(X(cross), a.y0); g.lineTo(X(cross), a.y1); g.stroke();
    }
    data.forEach((points, k) => {
      let p = null;
      if (cross !== null) {
        for (const q of points) if (Math.abs(q.t - cross) <= view.step / 2 + 1e-6) p = q;
      } else {
        for (let i = points.length - 1; i >= 0 && !p; i--) if (points[i].v !== null && points[i].t > view.now - 5 * view.step - 5) p = points[i];
      }
      const v = p ? p.v : null;
      this.values[k].textContent = short(v);
      this.values[k].dataset.value = v === null ? '' : String(v);
      if (cross !== null && v !== null) {
        g.fillStyle = view.style(this.spec.lines[k].color);
        g.beginPath(); g.arc(X(p.t), Y(v), 3, 0, 7); g.fill();
      }
    });
  }
}

// PhaseChart shows over the same time what the run was doing: a lane for each
// phase, and a line where an arm begins.
class PhaseChart extends Chart {
  draw(view) {
    const dpr = window.devicePixelRatio || 1, w = this.canvas.clientWidth, h = this.canvas.clientHeight;
    if (!w || !h) return;
    this.canvas.width = Math.round(w * dpr);
    this.canvas.height = Math.round(h * dpr);
    const g = this.canvas.getContext('2d'), lanes = this.spec.lanes;
    g.setTransform(dpr, 0, 0, dpr, 0, 0);
    g.font = '11px system-ui, sans-serif';
    const a = this.area = {x0: LEFT, x1: w - 8, y0: h - 18, y1: 6, from: view.from, to: view.to};
    const X = (t) => a.x0 + (t - a.from) / (a.to - a.from) * (a.x1 - a.x0), tall = (a.y0 - a.y1) / lanes.length;
    g.textBaseline = 'middle';
    g.textAlign = 'right';
    lanes.forEach((l, k) => {
      g.fillStyle = view.style('--dim');
      g.fillText(l.phase, a.x0 - 6, a.y1 + (k + 0.5) * tall);
      g.fillStyle = view.style('--grid');
      g.fillRect(a.x0, a.y1 + (k + 0.5) * tall, a.x1 - a.x0, 1);
    });
    view.spans.forEach((s, i) => {
      const end = i + 1 < view.spans.length ? view.spans[i + 1].t : view.now, k = lanes.findIndex((l) => l.phase === s.phase);
      const x0 = Math.max(a.x0, X(s.t)), x1 = Math.min(a.x1, Math.max(X(end), X(s.t) + 1));
      if (k < 0 || x1 <= x0) return;
      g.fillStyle = view.style(lanes[k].color);
      g.fillRect(x0, a.y1 + k * tall + 2, x1 - x0, tall - 4);
    });
    this.timeAxis(g, view, a, X);
    if (view.cross !== null) {
      g.strokeStyle = view.style('--cross');
      g.beginPath(); g.moveTo(X(view.cross), a.y0); g.lineTo(X(view.cross), a.y1); g.stroke();
    }
    const at = view.spans.filter((s) => view.cross === null || s.t <= view.cross).pop();
    this.box.querySelector('.unit').textContent = at ? at.phase + (at.arm ? ', arm ' + at.arm : '') : '';
  }
}
