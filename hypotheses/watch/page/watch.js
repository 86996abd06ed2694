'use strict';

// The page of a run. Everything shown comes from /events; text is only ever set
// as text, so that no name can become markup.

const $ = (id) => document.getElementById(id);

const charts = [
  {id: 'ttft', title: 'Time to first token', unit: 'ms', lines: [
    {field: 'ttft_p50_ms', name: 'p50', color: '--c3', settles: true}, {field: 'ttft_p95_ms', name: 'p95', color: '--c1', dash: [6, 3], settles: true}, {field: 'ttft_p99_ms', name: 'p99', color: '--c2', settles: true}]},
  {id: 'await', title: 'Wait of a disk read', unit: 'r_await, ms', lines: [{field: 'r_await_ms', name: 'r_await', color: '--c0'}]},
  {id: 'tokens', title: 'Output tokens', unit: 'tokens/s', lines: [{field: 'tokens_per_sec', name: 'tokens/s', color: '--c0', settles: true}]},
  {id: 'reads', title: 'Reads', unit: 'MB/s', lines: [{field: 'reads_MBps', name: 'MB/s', color: '--c0'}]},
  {id: 'requests', title: 'Requests', unit: '1/s', lines: [{field: 'requests_per_sec', name: 'good', color: '--c0', settles: true}, {field: 'errors_per_sec', name: 'failed', color: '--c2', dash: [6, 3], settles: true}]},
  {id: 'queue', title: 'Disk queue', unit: 'aqu-sz', lines: [{field: 'aqu_sz', name: 'aqu-sz', color: '--c0'}]},
  {id: 'flight', title: 'In flight', unit: 'requests', lines: [{field: 'in_flight', name: 'client', color: '--c0'}, {field: 'running', name: 'running', color: '--c3', dash: [6, 3]}, {field: 'waiting', name: 'waiting', color: '--c2'}]},
  {id: 'stall', title: 'Stalled', unit: '% of time', atLeast: 5, lines: [{field: 'psi_io_pct', name: 'PSI io', color: '--c0'}, {field: 'psi_mem_pct', name: 'PSI mem', color: '--c2'}, {field: 'iowait_pct', name: 'iowait', color: '--c1', dash: [6, 3]}]},
  {id: 'memory', title: 'Memory available', unit: 'GiB', lines: [{field: 'mem_available_bytes', name: 'GiB', color: '--c3', scale: 1 / 2 ** 30}]},
];

// lanes are the phases of an arm in their order.
const lanes = [['preparing', '--dim'], ['settling', '--dim'], ['priming', '--c1'], ['warm-up', '--c3'], ['measuring', '--c0'], ['draining', '--c2'], ['judging', '--fg']].map(([phase, color]) => ({phase, color}));

// model is all that the page knows; frozen is a copy of it while paused.
let model = null, frozen = null;
let cross = null, wholeRun = false, over = false, lastMessage = 0;

function fresh() {
  return {fields: [], fine: {step: 1, bins: new Map()}, whole: {step: 1, bins: new Map()}, spans: [], logs: [], state: null, now: 0, wall: 0, settled: 0, dropped: 0};
}

function takeBins(series, m) {
  if (m.reset) series.bins.clear();
  series.step = m.step;
  m.index.forEach((i, k) => series.bins.set(i, m.bins[k]));
  for (const i of series.bins.keys()) if (i < m.base) series.bins.delete(i);
}

function take(m) {
  if (m.reset) { model = fresh(); model.fields = m.fields; }
  if (!model) return;
  model.now = m.now; model.wall = m.wall_ms; model.settled = m.settled; model.dropped = m.dropped;
  if (m.fine) takeBins(model.fine, m.fine);
  if (m.whole) takeBins(model.whole, m.whole);
  if (m.spans) model.spans = model.spans.concat(m.spans).slice(-8192);
  if (m.logs) model.logs = model.logs.concat(m.logs).slice(-200);
  if (m.state) model.state = m.state;
  over = Boolean(m.over);
  lastMessage = Date.now();
  draw();
}

// points are one field's values in order, each at the middle of its bin.
function points(of, series, field) {
  const k = of.fields.indexOf(field);
  return [...series.bins.keys()].sort((a, b) => a - b).map((i) => ({t: (i + 0.5) * series.step, v: series.bins.get(i)[k]}));
}

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

let pending = false;
function draw() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => { pending = false; render(); });
}

function render() {
  const m = frozen || model;
  if (!m) return;
  const series = wholeRun ? m.whole : m.fine;
  const to = Math.max(m.now, 30), from = wholeRun ? 0 : Math.max(0, to - 120);
  const cache = new Map(), colors = new Map();
  const view = {
    from, to, now: m.now, spans: m.spans, cross, settled: m.settled, step: series.step,
    get: (f) => { if (!cache.has(f)) cache.set(f, points(m, series, f)); return cache.get(f); },
    style: (n) => { if (!colors.has(n)) colors.set(n, style(n)); return colors.get(n); },
  };
  drawn.forEach((c) => c.draw(view));
  note(m);
  status(m);
  progress(m);
  tables(m);
}

function note(m) {
  let text = 'Blue: measured windows. Grey: priming and warm-up. Dotted: an arm begins. Pale ends of curves still fill, as a request is known only once it has ended. Gaps: nothing measured.';
  if (cross !== null) {
    const at = m.spans.filter((s) => s.t <= cross).pop();
    text = 'At ' + clockTime(cross) + ' (' + new Date(m.wall + cross * 1000).toLocaleTimeString() + ')' + (at ? ': ' + at.phase + (at.arm ? ', arm ' + at.arm : '') : '');
  }
  if (m.dropped) text += ' ' + m.dropped + ' events are missing from this view (the files have them).';
  set('note', text);
}

function set(id, text) { const e = $(id); if (e.textContent !== text) e.textContent = text; }

function status() {
  const lost = !over && Date.now() - lastMessage > 5000;
  const text = over ? 'the run is over' : lost ? 'connection lost, trying again' : frozen ? 'paused' : 'live';
  set('link', text);
  $('link').className = text === 'live' ? 'live' : lost ? 'lost' : '';
}

const currentOf = (m) => {
  const runs = m.state ? m.state.runs : [];
  const open = runs.filter((r) => r.ended === undefined);
  return open[open.length - 1] || runs[runs.length - 1] || null;
};

function progress(m) {
  const r = currentOf(m);
  set('phase', m.state ? m.state.phase : '');
  if (!r) return;
  set('id', r.id);
  set('title', r.title);
  set('claim', r.claim);
  document.title = r.id + ' ' + (r.outcome || (m.state ? m.state.phase : '')) + ' – spark';
  const t = r.target;
  $('emulated').hidden = !(t && t.emulated);
  set('target', t ? t.model + ' at ' + t.url + (t.control ? ', control ' + t.control : '') + ', profile ' + t.profile + ', endpoint ' + t.endpoint + ', disk ' + t.device : '');
  const arms = r.arms || [], done = arms.filter((a) => a.state === 'done').length, at = arms.find((a) => a.state === 'running');
  $('done').style.width = (arms.length ? 100 * done / arms.length : 0) + '%';
  set('where', '· ' + (r.outcome ? r.outcome + ', ' : '') + (arms.length ? done + ' of ' + arms.length + ' arms done' + (at ? ', now ' + at.name : '') : m.state.live || 'no arms yet'));
  set('eta', r.ends_at ? '· about ' + clockTime(r.ends_at - m.now) + ' left' + (r.all_end_at ? ', ' + clockTime(r.all_end_at - m.now) + ' in all' : '') : '');
}

// row makes a table row of [text, class] cells.
function row(cells, kind) {
  const tr = document.createElement('tr');
  tr.className = kind || '';
  for (const [text, c] of cells) {
    const td = document.createElement('td');
    td.textContent = text;
    td.className = c || '';
    tr.append(td);
  }
  return tr;
}

let tabled = null;
function tables(m) {
  if (tabled === m.state || !m.state) return;
  tabled = m.state;
  const runs = m.state.runs, began = new Set(runs.map((r) => r.id));
  const rows = runs.map((r) => {
    const arms = r.arms || [], done = arms.filter((a) => a.state === 'done').length;
    const outcome = r.outcome || (r.error ? 'failed' : 'under way');
    const target = r.target ? (r.target.emulated ? 'EMULATED ' : '') + r.target.model : '';
    return row([[r.id + ' ' + r.title], [outcome, r.outcome || (r.error ? 'failed' : '')], [done + ' / ' + arms.length], [target], [r.error || [(r.reasons || []).join(', '), r.dir].filter(Boolean).join(' ')]]);
  });
  for (const id of m.state.queue || []) if (!began.has(id)) rows.push(row([[id], ['waiting'], [''], [''], ['']], 'waiting'));
  document.querySelector('#runs tbody').replaceChildren(...rows);
  const r = currentOf(m);
  if (!r) return;
  set('armsof', 'of ' + r.id);
  const ms = (v) => v === undefined || v === null ? '' : typeof v === 'number' ? String(v) : '∞';
  const end = r.target ? r.target.endpoint : '';
  const mark = (q) => q === end ? 'endpoint' : '';
  document.querySelector('#arms tbody').replaceChildren(...(r.arms || []).map((a) => {
    const l = a.ttft_ms || {};
    return row([[a.name], [a.block], [a.users], [a.context_tokens], [a.state === 'done' ? (a.ok || 0) + ' / ' + (a.due || 0) : a.state],
      [ms(l.p50), mark('p50')], [ms(l.p95), mark('p95')], [ms(l.p99), mark('p99')], [a.tokens_per_sec === undefined ? '' : a.tokens_per_sec.toFixed(1)]], a.state);
  }));
  ['p50', 'p95', 'p99'].forEach((q, i) => { document.querySelectorAll('#arms th')[5 + i].className = mark(q); });
  const log = $('log'), text = m.logs.join('\n'), bottom = log.scrollHeight - log.scrollTop - log.clientHeight < 30;
  if (log.textContent !== text) { log.textContent = text; if (bottom) log.scrollTop = log.scrollHeight; }
}

// listen keeps a stream open: the browser comes back by itself, and where it
// gives up, because nobody listened for a while, this does.
let stream = null;
function listen() {
  stream = new EventSource('events');
  stream.onmessage = (e) => take(JSON.parse(e.data));
  stream.onerror = () => {
    status();
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 1000);
  };
}

function theme(dark) {
  document.documentElement.classList.toggle('dark', dark);
  set('theme', dark ? 'light' : 'dark');
  draw();
}

const hover = (t) => { cross = t; draw(); };
const drawn = charts.map((c) => new Chart($('charts'), c, hover));
drawn.push(new PhaseChart($('charts'), {id: 'phases', title: 'Phase', unit: '', lines: [], lanes}, hover));
$('span').onclick = () => { wholeRun = !wholeRun; $('span').setAttribute('aria-pressed', wholeRun); set('span', wholeRun ? 'last 2 minutes' : 'whole run'); $('span').setAttribute('aria-pressed', wholeRun); draw(); };
$('pause').onclick = () => { frozen = frozen ? null : structuredClone(model); $('pause').setAttribute('aria-pressed', Boolean(frozen)); set('pause', frozen ? 'go on' : 'pause'); status(); draw(); };
$('theme').onclick = () => theme(!document.documentElement.classList.contains('dark'));
theme(matchMedia('(prefers-color-scheme: dark)').matches);
new ResizeObserver(draw).observe($('charts'));
setInterval(status, 1000);
listen();
