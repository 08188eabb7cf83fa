// SPDX-License-Identifier: Apache-2.0
// The page as a person uses it, in a real browser. STENTOR_SCREENSHOTS=FOLDER keeps pictures of everything it comes by.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { smallTown } from '../../src/hubble-ui/testdata/town.ts';
import type { PageServer } from '../../src/hubble-ui/server.ts';
import { browser, whyNoChromium } from './chromium.ts';
import type { Browser, Tab, Window } from './chromium.ts';
import { townPage } from './town-page.ts';

const pictures = process.env['STENTOR_SCREENSHOTS'];
const desk: Window = { width: 1440, height: 900 };
const phone: Window = { width: 390, height: 844, scale: 2, touch: true };
const skip = whyNoChromium();

describe('the page in Chromium', { ...(skip !== undefined && { skip }) }, () => {
  let server: PageServer;
  let open: Browser;
  let tab: Tab;
  const address = (search = '') => `http://127.0.0.1:${server.port}/${search}`;
  const picture = async (name: string) => {
    if (pictures !== undefined) await tab.screenshot(join(pictures, `${name}.png`));
  };
  const search = () => tab.value<string>('decodeURIComponent(location.search)');
  const text = (selector: string) => tab.value<string>(`document.querySelector(${JSON.stringify(selector)})?.innerText ?? ''`);

  type Arrow = { readonly from: string; readonly to: string; readonly x: number; readonly y: number };
  /** Clicks a link. A map that is new moves until its nodes have found their places: what was there may not be by the time of the click. */
  async function chosenArrow(): Promise<Arrow> {
    let seen = '';
    for (let attempt = 0; attempt < 10; attempt++) {
      const arrow = await tab.value<Arrow>('window.hubbleMap.arrowInSight()');
      await tab.clickAt(arrow.x, arrow.y);
      await tab.until(`document.querySelector('.panel h2')`);
      seen = await text('.panel h2');
      if (seen.startsWith(arrow.from) && (await search()).includes('sel=link:')) return arrow;
    }
    assert.fail(`No click on a link led to its panel, the last one to '${seen}'`);
  }

  before(async () => {
    if (pictures !== undefined) await mkdir(pictures, { recursive: true });
    server = await townPage(smallTown);
    open = await browser();
    tab = open.tab;
    await tab.look(desk);
  });
  after(async () => {
    await open[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  it('goes from the map to a link, to its flows, to one flow, and into the past around it', async () => {
    await tab.open(address('?window=1m'));
    await tab.until('window.hubbleMap?.arrowInSight()');
    await picture('map-light');
    const arrow = await chosenArrow();
    assert.match(await search(), /sel=link:/);
    await tab.until(`document.querySelector('.panel .latest li')`);
    await picture('link-light');

    await tab.click('[data-test="show-flows"]');
    await tab.until(`document.querySelector('.table-body [role=row]')`);
    assert.ok((await search()).includes(`link=${arrow.from}>${arrow.to}`));
    const ends = await tab.value<readonly string[]>(`[...document.querySelectorAll('.table-body [role=row]')].map((row) => row.innerText)`);
    assert.ok(ends.length > 0);

    await tab.click('.table-body [role=row]');
    await tab.until(`document.querySelector('.panel dl')`);
    await picture('flow-light');
    assert.match(await text('.panel'), /Node/);

    await tab.click('[data-test="around"]');
    await tab.until(`document.querySelector('.fresh')?.innerText.includes('the past')`);
    assert.match(await search(), /since=.*&until=/);
    await tab.until(`document.querySelector('.table-body [role=row]')`);
    await picture('past-light');
  });

  it('takes a typed condition, keeps it in the address, and says what it cannot take', async () => {
    await tab.open(address('?page=flows&window=1m'));
    await tab.until(`document.querySelector('.table-body [role=row]')`);
    await picture('flows-light');
    await tab.press('/');
    await tab.type('verdict=maybe');
    await tab.press('Enter');
    await tab.until(`document.querySelector('[role=alert]')?.innerText.includes("verdict 'maybe'")`);
    await tab.value(
      `(() => { const i = document.getElementById('filter'); i.value = ''; i.dispatchEvent(new Event('input', { bubbles: true })); })()`,
    );
    await tab.type('verdict=dropped');
    await tab.press('Enter');
    await tab.until(`location.search.includes('verdict=dropped') && document.querySelector('.table-row.is-bad')`);
    await tab.until(`[...document.querySelectorAll('.table-body .table-row')].every((row) => row.classList.contains('is-bad'))`);
    await picture('dropped-light');
    await tab.click('.chip');
    await tab.until(`!location.search.includes('verdict=dropped')`);
  });

  it('can be used without a mouse', async () => {
    await tab.open(address('?window=1m'));
    await tab.until('window.hubbleMap?.arrowInSight()');
    await tab.value(`document.querySelector('.map-host').focus()`);
    await tab.press('ArrowRight');
    await tab.until(`location.search.includes('sel=node:')`);
    const first = await search();
    await tab.press('ArrowDown');
    await tab.until(`decodeURIComponent(location.search) !== ${JSON.stringify(first)}`);
    await tab.until(`document.querySelector('.panel .peers')`);
    await picture('node-light');
    await tab.press('Escape');
    await tab.until(`!document.querySelector('.panel')`);
    await tab.press('2');
    await tab.until(`document.querySelector('.table-body [role=row]')`);
    await tab.value(`document.querySelector('.table').focus()`);
    await tab.press('ArrowDown');
    await tab.until(`location.search.includes('sel=flow:')`);
  });

  it('has only the rows in the document that are in sight, however far one scrolls', async () => {
    await tab.open(address('?page=flows&window=5m'));
    await tab.until(`document.querySelector('.table-body [role=row]')`);
    for (const size of [6_000, 30_000]) {
      await tab.until(`(() => { const t = document.querySelector('.table'); t.scrollTop = ${size}; return t.scrollHeight > ${size}; })()`);
      const rows = await tab.value<number>(`document.querySelectorAll('.table-body [role=row]').length`);
      assert.ok(rows < 120, `${rows} rows`);
    }
  });

  it('shows who answers for load balancer addresses, and how everything is', async () => {
    await tab.open(address('?page=vips'));
    await tab.until(`document.querySelector('.list tbody tr')`);
    assert.match(await text('.document'), /192\.168\.0\.220[\s\S]*node1/);
    assert.match(await text('.document'), /nobody/);
    await picture('vips-light');
    await tab.press('4');
    await tab.until(`document.querySelector('.tiles')`);
    assert.match(await text('.document'), /2 of 3/);
    await picture('health-light');
  });

  it('is dark where the system is, and fits a phone', async () => {
    await tab.look({ ...desk, dark: true });
    await tab.open(address('?window=1m'));
    await tab.until('window.hubbleMap?.arrowInSight()');
    const shade = (of: string) =>
      tab.value<number>(
        `(() => { const [r, g, b] = getComputedStyle(document.querySelector('${of}')).backgroundColor.match(/\\d+/g).map(Number); return (r + g + b) / 3; })()`,
      );
    assert.ok((await shade('body')) < 60);
    await picture('map-dark');
    for (const page of ['flows', 'vips', 'health']) {
      await tab.open(address(`?page=${page}&window=1m`));
      await tab.until(`document.querySelector('.table-body [role=row], .list tbody tr')`);
      await picture(`${page}-dark`);
    }
    await tab.look(phone);
    for (const page of ['map', 'flows', 'vips', 'health']) {
      await tab.open(address(`?page=${page}&window=1m`));
      await tab.until(`document.querySelector('.table-body [role=row], .list tbody tr, .map-words')`);
      assert.equal(await tab.value<number>('document.documentElement.scrollWidth'), phone.width, page);
      await picture(`${page}-phone`);
    }
    await tab.open(address('?page=flows&window=1m'));
    await tab.until(`document.querySelector('.table-body [role=row]')`);
    await tab.click('.table-body [role=gridcell]');
    await tab.until(`document.querySelector('.panel dl')`);
    await picture('flow-phone');
    await tab.look(desk);
  });

  it('had nothing to complain about', () => assert.deepEqual(tab.complaints, []));
});
