// The page of the sandbox: types, rows, one entity with its history, the event log as it grows, search.
//
// Everything on it comes from the site's own methods. Names are whatever somebody wrote: they become text nodes, never markup.
'use strict';

const PAGE = 50;
const LOOK_MS = 1000;
const main = document.getElementById('main');
const state = { who: null, schema: {}, view: 0, timer: 0, types: [] };

// ---- calls -----------------------------------------------------------------------------------------------------------------------

async function ask(method, payload) {
  const body = JSON.stringify({ method_name: method, params: [{ person: state.who }, payload] });
  const answer = await fetch('/_sandbox/call', { method: 'POST', body, headers: { 'X-Sandbox-Page': '1' } });
  const told = await answer.json();
  if (told && told.exception) throw new Error(told.message);
  return told && told.results !== undefined ? told.results : told;
}

function read(type, conditions, fields, more) {
  const filters = { logical_operator: 'and', conditions };
  return ask('read', { type, filters, return_fields: fields, ...more });
}

const is = (path, relation, ...values) => ({ path, relation, values });

async function fieldsOf(type) {
  state.schema[type] = state.schema[type] || await ask('schema_field_read', { type });
  return state.schema[type];
}

// ---- elements --------------------------------------------------------------------------------------------------------------------

function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

function say(text, isBad) {
  const said = document.getElementById('said');
  said.textContent = text;
  said.className = isBad ? 'bad' : '';
}

const place = (...parts) => '#/' + parts.map(encodeURIComponent).join('/');
const nameOf = (link) => link.name || `${link.type} ${link.id}`;
const linkTo = (link) => h('a', { href: place('entity', link.type, link.id) }, nameOf(link));

function commas(list) {
  return list.flatMap((item, index) => (index ? [', ', item] : [item]));
}

/** A value of a field as elements. */
function shown(value, field) {
  if (value === null || value === undefined || value === '') return [h('span', { class: 'quiet' }, '–')];
  if (Array.isArray(value)) return value.length ? commas(value.flatMap((item) => shown(item, field))) : [h('span', { class: 'quiet' }, '–')];
  if (typeof value === 'object') {
    if (typeof value.url === 'string' && /^https?:\/\//i.test(value.url)) {
      return [h('a', { href: value.url, rel: 'noreferrer noopener' }, value.name || value.url)];
    }
    if (value.type && Number.isInteger(value.id)) return [linkTo(value)];
    return [h('pre', {}, JSON.stringify(value, null, 1))];
  }
  const names = field && field.properties.display_values && field.properties.display_values.value;
  if (names && names[value] && names[value] !== value) return [`${value} `, h('span', { class: 'quiet' }, names[value])];
  return [String(value)];
}

function table(caption, heads, rows) {
  return h('div', { class: 'wide' }, h('table', {},
    h('caption', {}, caption),
    h('thead', {}, h('tr', {}, heads)),
    h('tbody', {}, rows)));
}

function show(title, ...content) {
  document.title = `${title} – Sandbox`;
  main.replaceChildren(h('h1', {}, title), ...content);
}

// ---- one view at a time ----------------------------------------------------------------------------------------------------------

/** Runs a step of the view that is shown, as long as it is. */
async function step(view, work) {
  try {
    await work();
  } catch (error) {
    if (view === state.view) say(String(error.message || error), true);
  }
}

/** Does it again and again until another view is shown; not while nobody looks. */
function live(view, work) {
  const again = async () => {
    if (view !== state.view) return;
    if (!document.hidden) await step(view, work);
    if (view === state.view) state.timer = setTimeout(again, LOOK_MS);
  };
  state.timer = setTimeout(again, LOOK_MS);
}

function go() {
  clearTimeout(state.timer);
  state.view += 1;
  const view = state.view;
  const [path, query] = location.hash.slice(2).split('?');
  const parts = path.split('/').map(decodeURIComponent);
  const options = new URLSearchParams(query || '');
  const views = { events: eventLog, type: rowsOf, entity: oneEntity, search: found };
  for (const link of document.querySelectorAll('nav a')) {
    const isHere = link.getAttribute('href').split('?')[0] === '#/' + path;
    if (isHere) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  say('');
  const isKnown = !parts[0] || views[parts[0]];
  const isType = parts[0] !== 'type' || state.types.some((one) => one.type === parts[1]);
  if (isKnown && isType) step(view, () => (views[parts[0]] || eventLog)(view, parts.slice(1), options));
  else show('Nothing here', h('p', {}, isKnown ? `There is no type ${parts[1]}.` : 'There is no such page.'));
}

// ---- the event log ---------------------------------------------------------------------------------------------------------------

const EVENT_FIELDS = ['event_type', 'attribute_name', 'entity', 'project', 'user', 'created_at', 'description', 'meta', 'session_uuid'];

/** The newest rows below an id. Only a span of ids is asked for: a log may have millions. */
async function eventsBelow(below) {
  for (let span = 4 * PAGE; ; span *= 8) {
    const from = Math.max(below - span, 0);
    const page = await read('EventLogEntry', [is('id', 'between', from, below - 1)], EVENT_FIELDS, {
      sorts: [{ field_name: 'id', direction: 'desc' }], paging: { entities_per_page: PAGE, current_page: 1 },
      return_paging_info_without_counts: true,
    });
    if (page.entities.length === PAGE || from === 0) return page.entities;
  }
}

async function nextId() {
  const answer = await fetch('/_sandbox/summary');
  return (await answer.json()).next_id;
}

/** Tells another event under the same id. */
const made = (event) => `${event.created_at} ${event.event_type} ${event.attribute_name}`;

function eventRow(event, isNew) {
  return h('tr', { class: isNew ? 'new' : null, 'data-id': event.id, 'data-made': made(event) },
    h('td', { class: 'id' }, String(event.id)),
    h('td', {}, event.created_at ? event.created_at.replace('T', ' ').replace('Z', '') : ''),
    h('td', {}, event.event_type || ''),
    h('td', {}, shown(event.entity)),
    h('td', {}, shown(event.user)),
    h('td', {}, h('details', {}, h('summary', {}, changed(event)), h('pre', {}, JSON.stringify(event.meta, null, 1)))));
}

/** What a row says, in a few words. */
function changed(event) {
  const meta = event.meta || {};
  const word = (value) => (value && typeof value === 'object' ? nameOf(value) : String(value ?? '–'));
  if (meta.added || meta.removed) {
    const parts = [...(meta.added || []).map((link) => '+' + nameOf(link)), ...(meta.removed || []).map((link) => '−' + nameOf(link))];
    return `${event.attribute_name}: ${parts.join(', ')}`;
  }
  if (meta.type === 'attribute_change') return `${event.attribute_name}: ${word(meta.old_value)} → ${word(meta.new_value)}`;
  return event.description || meta.type || 'details';
}

const eventHeads = ['Id', 'When (UTC)', 'Type', 'About', 'By', 'What'].map((name) => h.bind(null, 'th', { scope: 'col' }, name));
const eventTable = (caption, rows) => table(caption, eventHeads.map((head) => head()), rows);

/** Puts the rows that are not there yet where they belong: a late one among older ones. */
function merge(body, events, max) {
  const known = new Map([...body.rows].map((row) => [row.dataset.id, row]));
  let added = 0;
  // A log that was restored or purged has not what it had: the newest rows here are those that it has now.
  const now = new Set(events.map((event) => String(event.id)));
  const oldest = events.length ? events[events.length - 1].id : 0;
  for (const [id, row] of known) {
    if (Number(id) >= oldest && !now.has(id)) { row.remove(); known.delete(id); }
  }
  for (const event of events) {
    const row = known.get(String(event.id));
    if (row && row.dataset.made !== made(event)) { row.remove(); known.delete(String(event.id)); }
  }
  for (const event of events) {
    if (known.has(String(event.id))) continue;
    const below = [...body.rows].find((row) => Number(row.dataset.id) < event.id);
    body.insertBefore(eventRow(event, true), below || null);
    added += 1;
  }
  while (body.rows.length > max) body.deleteRow(-1);
  return added;
}

async function eventLog(view, parts, options) {
  const below = Number(options.get('below')) || 0;
  const events = await eventsBelow(below || await nextId());
  if (view !== state.view) return;
  const wrap = eventTable('The event log, newest first', events.map((event) => eventRow(event)));
  const older = events.length ? events[events.length - 1].id : 0;
  const stamp = h('span', { class: 'live' }, below ? `below ${below}` : 'live: new events appear by themselves');
  show('Event log', h('div', { class: 'bar' },
    h('a', { href: '#/events' }, 'newest'),
    older ? h('a', { href: `#/events?below=${older}`, id: 'older' }, 'older') : null,
    stamp), wrap);
  if (below) return;
  const body = wrap.querySelector('tbody');
  live(view, async () => {
    const newest = await eventsBelow(await nextId());
    if (view === state.view) merge(body, newest, PAGE);
  });
}

// ---- rows of a type --------------------------------------------------------------------------------------------------------------

const USUAL = ['code', 'content', 'name', 'subject', 'title', 'description', 'sg_status_list', 'entity', 'project', 'task_assignees',
  'user', 'login', 'sg_sequence', 'created_by', 'updated_at'];

async function rowsOf(view, [type], options) {
  if (type === 'EventLogEntry') return eventLog(view, [], options);
  const schema = await fieldsOf(type);
  const chosen = (options.get('columns') || '').split(',').filter((name) => schema[name]);
  const columns = chosen.length ? chosen : USUAL.filter((name) => schema[name]).slice(0, 7);
  const number = Math.max(Number(options.get('page')) || 1, 1);
  const sort = options.get('sort') || '';
  const sorts = sort ? [{ field_name: sort.replace('-', ''), direction: sort.startsWith('-') ? 'desc' : 'asc' }] : undefined;
  const isGone = options.get('retired') === '1';
  const page = await read(type, [], ['id', ...columns], {
    paging: { entities_per_page: PAGE, current_page: number }, return_paging_info: true, sorts,
    return_only: isGone ? 'retired' : 'active',
  });
  if (view !== state.view) return;
  const to = (changes) => {
    const next = new URLSearchParams(options);
    for (const [name, value] of Object.entries(changes)) {
      if (value) next.set(name, value);
      else next.delete(name);
    }
    return `${place('type', type)}?${next}`;
  };
  const head = (name) => {
    const direction = sort === name ? 'ascending' : sort === '-' + name ? 'descending' : null;
    const turned = sort === name ? '-' + name : name;
    const title = name === 'id' ? 'Id' : schema[name].name.value;
    return h('th', { scope: 'col', 'aria-sort': direction },
      h('button', { type: 'button', onclick: () => { location.hash = to({ sort: turned, page: '' }); } },
        title + (direction === 'ascending' ? ' ↑' : direction ? ' ↓' : '')));
  };
  const rows = page.entities.map((row) => h('tr', {},
    h('td', { class: 'id' }, h('a', { href: place('entity', type, row.id) }, String(row.id))),
    columns.map((name) => h('td', {}, shown(row[name], schema[name])))));
  const { entity_count: count, page_count: pages } = page.paging_info;
  show(type, h('div', { class: 'bar' },
    h('span', { id: 'count' }, `${count} rows, page ${count ? number : 0} of ${pages}`),
    h('a', { id: 'before', href: number > 1 ? to({ page: number - 1 }) : null }, 'previous'),
    h('a', { id: 'after', href: number < pages ? to({ page: number + 1 }) : null }, 'next'),
    h('a', { href: to({ retired: isGone ? '' : '1', page: '' }) }, isGone ? 'live ones' : 'deleted ones'),
    columnPicker(schema, columns, (names) => { location.hash = to({ columns: names.join(',') }); })),
  table(type, ['id', ...columns].map(head), rows));
}

function columnPicker(schema, columns, choose) {
  const boxes = Object.keys(schema).filter((name) => name !== 'id').sort().map((name) => h('label', {},
    h('input', { type: 'checkbox', value: name, checked: columns.includes(name) }), ' ', name));
  const field = h('fieldset', {}, h('legend', {}, 'Columns'), boxes,
    h('button', {
      type: 'button',
      onclick: () => choose([...field.querySelectorAll('input:checked')].map((box) => box.value)),
    }, 'Show'));
  return h('details', { class: 'columns' }, h('summary', {}, 'Columns'), field);
}

// ---- one entity ------------------------------------------------------------------------------------------------------------------

async function oneEntity(view, [type, idText]) {
  const id = Number(idText);
  const schema = await fieldsOf(type);
  const names = Object.keys(schema).sort();
  const [row, isGone] = await entity(type, id, names);
  if (view !== state.view) return;
  if (!row) {
    show(`${type} ${idText}`, h('p', {}, 'There is no such row.'));
    return;
  }
  const display = ['code', 'content', 'name', 'subject', 'title'].map((name) => row[name]).find((text) => typeof text === 'string');
  const fields = h('tbody', {});
  const draw = (now) => fields.replaceChildren(...names
    .filter((name) => name !== 'id' && !isEmpty(now[name]))
    .map((name) => h('tr', { 'data-field': name },
      h('th', { scope: 'row' }, schema[name].name.value, ' ', h('small', { class: 'quiet' }, name)),
      h('td', {}, isGone ? shown(now[name], schema[name]) : control(type, id, name, schema[name], now[name])))));
  draw(row);
  const history = eventTable('What happened to it, newest first', []);
  const body = history.querySelector('tbody');
  const more = h('button', { type: 'button', id: 'more' }, 'older');
  show(`${type} ${id}${display ? ': ' + display : ''}`,
    h('div', { class: 'bar' }, h('a', { href: place('type', type) }, `all of ${type}`), isGone ? h('span', { class: 'bad' }, 'deleted') : null),
    h('div', { class: 'wide' }, h('table', {}, h('caption', {}, 'Fields'), fields)),
    h('h2', {}, 'History'), history, more);
  let pages = 1;
  const look = async () => {
    const page = await read('EventLogEntry', [is('entity', 'is', { type, id })], EVENT_FIELDS, {
      sorts: [{ field_name: 'id', direction: 'desc' }], paging: { entities_per_page: PAGE * pages, current_page: 1 },
      return_paging_info_without_counts: true,
    });
    if (view !== state.view) return;
    more.hidden = !page.paging_info.has_next_page;
    const isFirst = body.rows.length === 0;
    const added = merge(body, page.entities, PAGE * pages);
    if (isFirst) for (const line of body.rows) line.className = '';
    else if (added) {
      const [now] = await entity(type, id, names);
      if (now && view === state.view && !fields.contains(document.activeElement)) draw(now);
    }
  };
  more.addEventListener('click', () => { pages += 1; step(view, look); });
  state.look = () => step(view, look);
  await look();
  live(view, look);
}

/** The row, and whether it was deleted. */
async function entity(type, id, names) {
  for (const only of ['active', 'retired']) {
    const page = await read(type, [is('id', 'is', id)], names, { return_only: only });
    if (page.entities.length) return [page.entities[0], only === 'retired'];
  }
  return [null, false];
}

const isEmpty = (value) => value === null || value === undefined || value === '' || (Array.isArray(value) && value.length === 0);

/** States can be changed where they stand; everything else is shown. */
function control(type, id, name, field, value) {
  if (field.data_type.value !== 'status_list' || !field.editable.value) return shown(value, field);
  const names = field.properties.display_values.value || {};
  const values = field.properties.valid_values.value || [];
  const select = h('select', { id: `set-${name}`, 'aria-label': field.name.value },
    values.map((one) => h('option', { value: one, selected: one === value }, names[one] ? `${one} – ${names[one]}` : one)));
  select.addEventListener('change', async () => {
    select.disabled = true;
    try {
      await ask('update', { type, id, fields: [{ field_name: name, value: select.value }] });
      say(`${field.name.value} is ${select.value} now`);
      await state.look();
    } catch (error) {
      say(String(error.message || error), true);
      select.value = value;
    }
    select.disabled = false;
    select.focus();
  });
  return [select];
}

// ---- search ----------------------------------------------------------------------------------------------------------------------

async function found(view, [text]) {
  const types = Object.fromEntries(state.types.filter((one) => one.type !== 'EventLogEntry').map((one) => [one.type, null]));
  const told = await ask('query_display_name_cache', { text, entity_types: types, max_results: 100 });
  if (view !== state.view) return;
  const rows = told.matches.map((match) => h('tr', {},
    h('td', {}, match.type), h('td', {}, linkTo(match)), h('td', {}, match.status || ''), h('td', {}, (match.links || []).join(' '))));
  const heads = ['Type', 'Name', 'Status', 'Belongs to'].map((name) => h('th', { scope: 'col' }, name));
  show(`Found: ${text}`, h('p', { id: 'count' }, `${rows.length} names`), table('What was found', heads, rows));
}

// ---- the frame -------------------------------------------------------------------------------------------------------------------

async function begin() {
  const about = await (await fetch('/_sandbox/about')).json();
  state.types = about.types;
  const person = document.getElementById('person');
  person.append(...about.people.map((one) => h('option', { value: one.id }, one.name)));
  state.who = about.people.length ? about.people[0].id : null;
  person.addEventListener('change', () => { state.who = Number(person.value); });
  const used = about.types.filter((one) => one.count);
  const empty = about.types.filter((one) => !one.count);
  const entry = (one) => h('a', { href: place('type', one.type) }, one.type, h('small', {}, one.count ? String(one.count) : ''));
  document.getElementById('types').append(h('a', { href: '#/events' }, 'Event log'), ...used.map(entry),
    h('details', {}, h('summary', {}, 'empty types'), empty.map(entry)));
  const text = document.getElementById('text');
  document.getElementById('search').addEventListener('submit', (event) => {
    event.preventDefault();
    if (text.value.trim()) location.hash = place('search', text.value.trim());
  });
  document.addEventListener('keydown', (event) => {
    const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === '/' && !isTyping && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      text.focus();
    }
  });
  document.querySelector('.skip').addEventListener('click', (event) => {
    event.preventDefault();
    main.focus();
  });
  window.addEventListener('hashchange', () => { go(); main.focus(); });
  go();
}

begin().catch((error) => say(String(error.message || error), true));
