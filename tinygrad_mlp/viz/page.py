"""How a report looks: one column, large numbers first, light or dark as the reader's system is, figures too."""

from __future__ import annotations

__all__ = ["STYLE"]

STYLE = """
:root { --ink: #1c2126; --soft: #5b656f; --paper: #f5f6f8; --sheet: #ffffff; --line: #dde1e6; --accent: #0072b2;
  --wrong: #c24e00; --right: #00795a; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaee; --soft: #9ba6b1; --paper: #14181c; --sheet: #1d2329;
  --line: #333c45; --accent: #6bb8ea; --wrong: #ff9a57; --right: #3fcfa4; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.5;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: clamp(1.5rem, 4.5vw, 2.2rem); line-height: 1.15; margin: .5rem 0; }
h2 { font-size: 1.15rem; margin: 0 0 .5rem; }
.lead { font-size: 1.1rem; color: var(--soft); margin: 0 0 1.2rem; max-width: 46rem; }
.note { color: var(--soft); margin: 0 0 .8rem; max-width: 46rem; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .8rem; margin: 0 0 1rem; }
dl > div { background: var(--sheet); border: 1px solid var(--line); border-radius: .6rem; padding: .8rem 1rem;
  display: flex; flex-direction: column; }
dd { margin: 0; font-size: 1.6rem; font-weight: 650; color: var(--accent); font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere; line-height: 1.2; }
dt { color: var(--soft); font-size: .88rem; }
section { background: var(--sheet); border: 1px solid var(--line); border-radius: .6rem; padding: 1.1rem 1.2rem;
  margin: 0 0 1rem; }
.card { background: #fff; color: #1c2126; border-radius: .4rem; padding: .5rem; text-align: center; overflow-x: auto; }
.card svg { max-width: 100%; min-width: 20rem; height: auto; vertical-align: top; }
@media (prefers-color-scheme: dark) {
  /* Lines are turned, colours keep their hue; images would become negatives, so they are only dimmed. */
  .lines, .graph { background: transparent; }
  .lines svg, .graph svg { filter: invert(1) hue-rotate(180deg) opacity(.88); mix-blend-mode: screen; }
  .card:not(.lines, .graph) { background: #dedede; width: fit-content; max-width: 100%; }
  .card:not(.lines, .graph) svg, figure img { filter: brightness(.87); } }
.graph { text-align: left; }
.graph svg { width: 100%; min-width: 46rem; max-width: 60rem; }
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); gap: .8rem; }
.wide, pre { overflow-x: auto; }
pre { font-size: .78rem; line-height: 1.35; margin: 0; }
table { border-collapse: collapse; font-size: .92rem; }
th, td { padding: .28rem 1.2rem .28rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { font-weight: 500; }
tr:last-child > * { border-bottom: 0; }
td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.facts th { color: var(--soft); white-space: nowrap; }
.numbers tr:first-child th { color: var(--soft); font-size: .84rem; }
.mistakes { display: grid; grid-template-columns: repeat(auto-fill, minmax(13.5rem, 1fr)); gap: .8rem; }
figure { margin: 0; display: flex; gap: .7rem; align-items: flex-start; border: 1px solid var(--line);
  border-radius: .4rem; padding: .6rem; font-size: .85rem; }
figure img { width: 4.2rem; height: 4.2rem; image-rendering: pixelated; border: 1px solid var(--line); background: #fff;
  flex: none; }
figcaption { flex: 1; min-width: 0; line-height: 1.3; }
ul { list-style: none; margin: .35rem 0 0; padding: 0; display: grid; align-items: center; gap: 2px .4rem;
  grid-template-columns: fit-content(4.5rem) minmax(1.5rem, 1fr) auto; font-size: .78rem; }
li { display: contents; }
.bar { height: .7rem; background: var(--paper); border-radius: 2px; }
.bar i { display: block; height: 100%; background: var(--soft); border-radius: 2px; min-width: 1px; }
li b { font-weight: 500; text-align: right; font-variant-numeric: tabular-nums; }
li.wrong i { background: var(--wrong); }
li.right i { background: var(--right); }
.formula { white-space: nowrap; }
.legend { margin: .6rem 0 0; font-size: .88rem; }
@media print { body { background: #fff; } section { break-inside: avoid; } }
"""
