// Marking: every change goes to the gradebook at once, with the mark that it replaces.
"use strict";

const possible = Number(document.body.dataset.points);
const question = document.body.dataset.question;
const answers = [...document.querySelectorAll("article")];
const undone = [];  // marks of this page before each change, the last one at the end
let state = JSON.parse(document.body.dataset.state);
let queue = Promise.resolve();  // one change after the other

const field = (answer, name) => answer.querySelector(`.${name}`);
const say = (answer, text, kind = "") => {
  const said = field(answer, "said");
  said.textContent = text;
  said.dataset.kind = kind;
};

function shown(answer) {
  const text = field(answer, "points").value.trim().replace(",", ".");
  const points = text === "" ? null : Number(text);
  return { points, comment: field(answer, "comment").value.trim() };
}

const same = (a, b) => a.points === b.points && a.comment === b.comment;

function show(answer) {
  const mark = state.marks[answer.id];
  field(answer, "points").value = mark.points === null ? "" : String(mark.points);
  field(answer, "comment").value = mark.comment;
  fit(field(answer, "comment"));
  answer.classList.toggle("marked", mark.points !== null);
  preview(answer);
}

function update(next) {
  const before = state;
  state = next;
  for (const answer of answers) {  // what others marked meanwhile; never over what is being typed
    if (same(shown(answer), before.marks[answer.id])) show(answer);
    answer.classList.toggle("marked", state.marks[answer.id].points !== null);
  }
  for (const place of document.querySelectorAll(".progress")) {
    const [done, all] = state.progress[place.dataset.cell];
    place.textContent = `${done} of ${all}`;
  }
  const [done, all] = state.progress[question];
  const bar = document.getElementById("progress");
  bar.max = Math.max(all, 1);
  bar.value = done;
}

async function send(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (response.ok || response.status === 409) return [response.status, JSON.parse(text)];
  throw new Error(text.trim().replace(/^\d+: /, ""));
}

function save(answer, wanted = shown(answer), keep = true) {
  if (wanted.points !== null && !(wanted.points >= 0 && wanted.points <= possible)) {
    say(answer, `points are a number from 0 to ${possible}`, "problem");
    return Promise.resolve(false);
  }
  queue = queue.then(() => write(answer, wanted, keep));
  return queue;
}

async function write(answer, wanted, keep) {
  const seen = state.marks[answer.id];
  if (same(seen, wanted)) return true;
  try {
    const [status, next] = await send("/mark", { key: answer.id, seen, ...wanted });
    if (status === 409) {
      update(next);
      const theirs = next.now.points === null ? "no points" : `${next.now.points} points`;
      say(answer, `somebody else gave ${theirs}${next.now.comment ? `: ${next.now.comment}` : ""}. `
        + "Yours is not saved; press Enter to put it in its place.", "problem");
      return false;
    }
    if (keep) undone.push([answer.id, seen, wanted]);
    update(next);
    preview(answer);
    say(answer, "saved");
    return true;
  } catch (error) {
    say(answer, `not saved: ${error.message}`, "problem");
    return false;
  }
}

async function undo() {
  const last = undone.pop();
  if (!last) return;
  const [key, before, after] = last;
  const answer = document.getElementById(key);
  if (!same(state.marks[key], after)) {
    say(answer, "somebody else changed this mark since; it is not undone", "problem");
    go(answer);
    return;
  }
  field(answer, "points").value = before.points === null ? "" : String(before.points);
  field(answer, "comment").value = before.comment;
  if (await save(answer, before, false)) say(answer, "undone");
  go(answer);
}

function fit(area) {
  area.rows = Math.max(1, area.value.split("\n").length);
}

async function preview(answer) {
  const place = field(answer, "preview");
  const comment = field(answer, "comment").value.trim();
  place.hidden = comment === "";
  if (comment === "") return;
  try {
    const [, found] = await send("/preview", { comment });
    place.innerHTML = found.html;  // made by the server's allow-list
  } catch {
    place.textContent = comment;
  }
}

function go(answer) {
  if (!answer) return;
  field(answer, "points").focus({ preventScroll: true });
  field(answer, "points").select();
  answer.scrollIntoView({ block: "nearest" });
}

const current = () => document.activeElement.closest("article");
const step = (answer, by) => answers[answers.indexOf(answer) + by];

function nextOpen(answer) {
  const after = answers.indexOf(answer) + 1;
  return [...answers.slice(after), ...answers.slice(0, after)].find((one) => state.marks[one.id].points === null);
}

async function accept(answer) {
  if (!(await save(answer))) return;
  const next = nextOpen(answer);
  if (next) go(next);
  else say(answer, "saved; every answer here has points");
}

document.addEventListener("keydown", (event) => {
  const answer = current();
  const writing = document.activeElement.classList.contains("comment");
  if (event.ctrlKey || event.metaKey || event.altKey) {
    if (writing && event.key === "Enter") {
      event.preventDefault();
      accept(answer);
    }
    return;
  }
  if (writing) {
    if (event.key === "Escape") {
      event.preventDefault();
      go(answer);
    }
    return;
  }
  const keys = {
    Enter: () => answer && accept(answer),
    ArrowDown: () => go(answer ? step(answer, 1) : answers[0]),
    ArrowUp: () => answer && go(step(answer, -1)),
    f: () => {
      if (!answer) return;
      field(answer, "points").value = String(possible);
      save(answer);
    },
    c: () => answer && field(answer, "comment").focus(),
    u: undo,
  };
  if (event.key in keys && (answer || event.key === "ArrowDown" || event.key === "u")) {
    event.preventDefault();
    keys[event.key]();
  }
});

for (const answer of answers) {
  show(answer);
  field(answer, "points").addEventListener("change", () => save(answer));
  field(answer, "comment").addEventListener("change", () => save(answer));
  field(answer, "comment").addEventListener("input", (event) => fit(event.target));
}
update(state);
go(answers.find((one) => state.marks[one.id].points === null) ?? answers[0]);

window.addEventListener("beforeunload", (event) => {
  if (answers.some((one) => !same(shown(one), state.marks[one.id]))) event.preventDefault();
});
