// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>

/// How the page of a map looks, and the little that it does by itself. Without the script all of it can be read, and
/// tooltips are the browser's own.
namespace mediant::command_line {

[[nodiscard]] inline std::string_view map_style() {
    return R"css(
:root { color-scheme: light dark; --back: #fff; --fore: #1c2430; --soft: #5c6878; --line: #d5dbe3; --panel: #f6f8fa;
  --ground: #eef1f5; --grid: #cfd6df; --mapped: #2f9aa8; --unmapped: #e9edf1; --accent: #0b5cad; --on: #fff;
  --c-pass: #64748b; --c-trap: #1a66c2; --c-shadow: #b45a00; --c-constant: #1c7f4a; --c-mixed: #b0307c;
  --c-hide: #4a4f57; --c-deny: #c22b2b; --c-dynamic: #7a3fc4; --tint: 13%; --ink: 26%; }
@media (prefers-color-scheme: dark) {
  :root { --back: #11161d; --fore: #e4e9f0; --soft: #9aa7b8; --line: #2c3644; --panel: #171e27;
    --ground: #1d2631; --grid: #33404f; --mapped: #3fb6c6; --unmapped: #232d39; --accent: #74b4ff; --on: #0d1117;
    --c-pass: #94a3b8; --c-trap: #5aa2f5; --c-shadow: #f0a24a; --c-constant: #4cc484; --c-mixed: #ee7fc0;
    --c-hide: #b3bac4; --c-deny: #ff7b72; --c-dynamic: #b98bff; --tint: 18%; --ink: 34%; } }
.pass { --c: var(--c-pass); } .trap { --c: var(--c-trap); } .shadow { --c: var(--c-shadow); }
.constant { --c: var(--c-constant); } .mixed { --c: var(--c-mixed); } .hide { --c: var(--c-hide); }
.deny { --c: var(--c-deny); } .dynamic { --c: var(--c-dynamic); }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0 auto; max-width: 1180px; padding: 1.5rem 1.25rem 4rem; background: var(--back); color: var(--fore);
  font: 15px/1.5 system-ui, "Segoe UI", "Helvetica Neue", Arial, "Liberation Sans", sans-serif; }
h1 { font-size: 1.7rem; margin: 0; line-height: 1.2; } h2 { font-size: 1.3rem; margin: 2.5rem 0 .25rem; }
h3 { font-size: 1.05rem; margin: 2rem 0 .35rem; } p { margin: .25rem 0 .75rem; } .soft { color: var(--soft); }
a { color: var(--accent); } code, .mono, svg text { font-family: ui-monospace, "SF Mono", Menlo, Consolas,
  "DejaVu Sans Mono", "Liberation Mono", monospace; } code { font-size: .9em; }
.skip { position: absolute; left: -999px; } .skip:focus { left: 1rem; top: .5rem; background: var(--back);
  padding: .5rem; }
nav ul, .legend { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; list-style: none; padding: 0; margin: .5rem 0; }
.legend { padding: .7rem .9rem; border: 1px solid var(--line); border-radius: 8px; background: var(--panel);
  font-size: .86rem; gap: .35rem 1.4rem; }
.legend li { display: flex; align-items: center; gap: .5rem; } .legend svg { width: 34px; height: 20px; flex: none; }
.badge { display: inline-flex; align-items: baseline; gap: .4em; white-space: nowrap; }
.badge b { background: var(--c); color: var(--on); border-radius: 3px; width: 1.35em; text-align: center;
  font: 700 .78em/1.5 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.scroll { overflow-x: auto; } svg { display: block; } .defs { position: absolute; }
.overview, .rows { width: 100%; min-width: 860px; height: auto; margin: .5rem 0; } .bar { width: 202px; height: 38px; }
  .bits { max-width: 100%;
  height: auto; }
svg text { font-size: 11px; fill: var(--fore); } svg .label, svg .bit { font-size: 10.5px; fill: var(--soft); }
svg .end { text-anchor: end; } svg .middle, svg .bit, svg .inside { text-anchor: middle; } svg .bit,
  svg .inside { font-size: 9.5px; }
svg .address { text-anchor: end; fill: var(--soft); } svg .detail { font-size: 9.3px; fill: var(--soft); }
svg .name { font-weight: 600; } svg .gap-text { fill: var(--soft);
  paint-order: stroke; stroke: var(--back); stroke-width: 4px; }
svg .key { fill: var(--on); font-weight: 700; font-size: 10px; text-anchor: middle; }
svg .key.on { fill: var(--fore); paint-order: stroke; stroke: var(--back); stroke-width: 3px; }
.tint { fill: color-mix(in srgb, var(--c) var(--tint), var(--back)); }
.ink { fill: none; stroke: color-mix(in srgb, var(--c) var(--ink), var(--back)); stroke-width: 1; }
  .ink.heavy { stroke-width: 1.6; }
.dot { fill: color-mix(in srgb, var(--c) calc(var(--ink) + 8%), var(--back)); }
.box { stroke: var(--c); stroke-width: 1; } .solid { fill: var(--c); } .hook { fill: var(--c); }
  .blank { fill: var(--line); }
.box.pass { fill: url(#p-pass); } .box.trap { fill: url(#p-trap); } .box.shadow { fill: url(#p-shadow); }
.box.constant { fill: url(#p-constant); } .box.mixed { fill: url(#p-mixed); } .box.hide { fill: url(#p-hide); }
.box.deny { fill: url(#p-deny); } .box.dynamic { fill: url(#p-dynamic); stroke-dasharray: 5 3; }
.overview .box:not(.pass, .dynamic) { stroke-width: 1.5; }
.reserved .box { fill: var(--ground); stroke: var(--line); } .ground { fill: var(--ground); }
.unseen { fill: url(#p-unseen); stroke: var(--soft); stroke-width: 1; } .grey { fill: none; stroke: var(--soft);
  stroke-width: 1; opacity: .55; }
.gap { fill: none; stroke: var(--line); stroke-dasharray: 2 4; } .grid { stroke: var(--grid); stroke-width: 1;
  opacity: .75; }
.page { stroke: var(--soft); stroke-width: 1; opacity: .6; } .tick { stroke: var(--soft); }
.mapped { fill: var(--mapped); } .unmapped { fill: var(--unmapped); }
.untrapped { fill: var(--unmapped); stroke: var(--mapped); stroke-width: 1; stroke-dasharray: 3 2; }
svg a { outline: none; } svg a:hover .box, svg a:focus .box { stroke: var(--fore); stroke-width: 2.5; }
svg .off { opacity: .18; }
table { border-collapse: collapse; width: 100%; font-size: .87rem; } caption { text-align: left; color: var(--soft); }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; white-space: nowrap; } td.mono { white-space: nowrap; }
tbody tr:target > * { background: color-mix(in srgb, var(--accent) 16%, var(--back)); }
tr.parts > td { border: 0; padding: .1rem 0 .2rem 1.5rem; } tr.field > td { border: 0; padding-top: 0;
  padding-bottom: .1rem; }
tr.field > td:nth-child(2) { padding-left: 1.5rem; } tr.last > td { border-bottom: 1px solid var(--line);
  padding-bottom: .4rem; }
tr.open > td { border-bottom: 0; } input { font: inherit; padding: .25rem .6rem; border: 1px solid var(--line);
  border-radius: 6px; background: var(--panel); color: inherit; width: 16rem; max-width: 100%; }
.tools { display: flex; gap: .8rem; align-items: center; margin: .4rem 0; }
a:focus-visible, input:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
#tip { position: fixed; z-index: 2; max-width: 26rem; padding: .5rem .7rem; white-space: pre-wrap;
  pointer-events: none;
  font: 12px/1.45 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; color: var(--fore);
  background: var(--back); border: 1px solid var(--soft); border-radius: 6px; box-shadow: 0 4px 14px #0004; }
#tip::first-line { font-weight: 700; }
@media print { .tools, .skip, #tip { display: none; } body { max-width: none; } }
)css";
}

/// Tooltips at once, arrow keys from cell to cell (one stop of the tab key a drawing), and a filter of names.
[[nodiscard]] inline std::string_view map_script() {
    return R"js(
(() => {
  const tip = document.createElement('div');
  tip.id = 'tip'; tip.hidden = true; tip.setAttribute('aria-hidden', 'true');
  document.body.append(tip);
  const show = (what, x, y) => {
    tip.textContent = what.dataset.tip; tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - box.width - 8)) + 'px';
    tip.style.top = (y + 18 + box.height > innerHeight ? Math.max(4, y - box.height - 10) : y + 18) + 'px';
  };
  const hide = () => { tip.hidden = true; };
  for (const title of document.querySelectorAll('svg title')) {
    const what = title.closest('a') || title.parentNode;
    what.dataset.tip = title.textContent;
    what.setAttribute('aria-label', title.textContent.replace(/\s*\n\s*/g, '; '));
    title.remove();
    what.addEventListener('pointermove', event => show(what, event.clientX, event.clientY));
    what.addEventListener('pointerleave', hide);
    what.addEventListener('focus', () => {
      if (!what.matches(':focus-visible')) return;
      const box = what.getBoundingClientRect();
      show(what, box.left, box.bottom - 10);
    });
    what.addEventListener('blur', hide);
  }
  addEventListener('keydown', event => { if (event.key === 'Escape') hide(); });
  addEventListener('scroll', hide, { passive: true });
  for (const drawing of document.querySelectorAll('svg.overview, svg.rows')) {
    const all = [...drawing.querySelectorAll('a')];
    all.forEach((each, i) => each.setAttribute('tabindex', i === 0 ? '0' : '-1'));
    drawing.addEventListener('keydown', event => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      const at = all.indexOf(document.activeElement);
      let to = at + (step || 0);
      if (event.key === 'Home') to = 0; else if (event.key === 'End') to = all.length - 1; else if (!step) return;
      event.preventDefault();
      if (at < 0 || !all[to]) return;
      all[at].setAttribute('tabindex', '-1'); all[to].setAttribute('tabindex', '0'); all[to].focus();
    });
  }
  for (const field of document.querySelectorAll('input[type=search]')) {
    field.closest('.tools').hidden = false;
    const part = field.closest('section');
    field.addEventListener('input', () => {
      const wanted = field.value.trim().toLowerCase();
      const wrong = name => !name.toLowerCase().includes(wanted);
      for (const row of part.querySelectorAll('tr[data-name]')) row.hidden = wrong(row.dataset.name);
      for (const cell of part.querySelectorAll('svg .cell')) cell.classList.toggle('off', wrong(cell.dataset.name));
    });
  }
})();
)js";
}

} // namespace mediant::command_line
