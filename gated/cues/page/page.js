"use strict";
// Shows the cues of the gate, and shows out of order when the gate is silent. Texts are set as text, never as HTML.

const GONE_MS = 3000;
const REFRESH_MS = 200;
const LEAST_WORD_PX = 80;
const MOST_WORD_VH = 31;
const body = document.body;
const [picture, words, sentences] = ["use", ".words", ".sentences"].map((part) => document.querySelector(`#cue ${part}`));
const [keys, labels, groups] = [".keys", ".labels", ".groups"].map((part) => document.querySelector(`#cue ${part}`));
const [notes, remaining] = ["#notes", "#remaining"].map((part) => document.querySelector(part));
const hasLetters = canDrawChinese();
let receivedAt = performance.now();
let shown = "";
let endsAt = 0;
let lastsMs = 0;

// Without a Chinese font every character is the same box.
function canDrawChinese() {
  const [one, other] = ["门", "开"].map((character) => {
    const pen = Object.assign(document.createElement("canvas"), {width: 48, height: 48}).getContext("2d");
    pen.font = `700 40px ${getComputedStyle(body).fontFamily}`;
    pen.fillText(character, 2, 42);
    return pen.getImageData(0, 0, 48, 48).data;
  });
  return one.some((part, i) => part !== other[i]);
}

function readable(languages) {
  const drawn = languages.filter((language) => language !== "zh" || hasLetters);
  return drawn.length ? drawn : ["en"];
}

function paragraphs(texts, languages) {
  return texts.filter(([language]) => languages.includes(language)).map(([language, text]) => {
    const line = document.createElement("p");
    line.lang = language;
    line.textContent = text;
    return line;
  });
}

function show(cue) {
  const languages = readable(cue.languages);
  body.dataset.situation = cue.situation;
  body.dataset.colour = cue.colour;
  body.dataset.first = cue.first ?? "";
  picture.setAttribute("href", `#${cue.pictogram}`);
  words.replaceChildren(...paragraphs(cue.words, languages));
  sentences.replaceChildren(...paragraphs(cue.sentences, languages));
  notes.replaceChildren(...paragraphs(cue.notes, languages));
  compare(cue.keys, languages);
  for (const line of document.querySelectorAll("#gone p[lang]")) line.hidden = !languages.includes(line.lang);
  call("#cue", cue.phone);
  if (cue.phone) call("#gone", cue.phone);
}

// A fingerprint in the place of the words: eight groups, read row by row.
function compare(shown, languages) {
  words.hidden = Boolean(shown);
  keys.hidden = !shown;
  labels.replaceChildren(...paragraphs(shown ? [["", shown.gate], ...shown.labels] : [], ["", ...languages]));
  groups.replaceChildren(...(shown?.groups ?? []).map((text) => {
    const group = document.createElement("span");
    group.textContent = text;
    return group;
  }));
}

function call(where, number) {
  const line = document.querySelector(`${where} .phone`);
  line.hidden = !number;
  line.querySelector("span").textContent = number;
}

// Makes the words as large as the panel allows. Sentences, notes and the telephone number have fixed sizes.
function fit() {
  const main = document.querySelector(body.classList.contains("is-gone") ? "#gone" : "#cue");
  const [text, below] = [".words", ".sentences"].map((part) => main.querySelector(part));
  const fits = (px) => {
    body.style.setProperty("--word", `${px}px`);
    const [box, under, all] = [text, below, main].map((element) => element.getBoundingClientRect());
    const ends = Math.max(...[...main.children].map((element) => element.getBoundingClientRect().bottom));
    return text.scrollWidth <= text.clientWidth && box.top >= all.top && box.bottom <= under.top && ends <= all.bottom + 0.5;
  };
  let [least, most] = [LEAST_WORD_PX, Math.max(LEAST_WORD_PX, Math.floor((innerHeight * MOST_WORD_VH) / 100))];
  while (least < most) {
    const middle = Math.ceil((least + most) / 2);
    if (fits(middle)) least = middle;
    else most = middle - 1;
  }
  fits(least);
}

function count() {
  const ms = Math.max(0, endsAt - performance.now());
  remaining.hidden = !lastsMs || body.classList.contains("is-gone");
  remaining.querySelector("i").style.width = `${lastsMs ? Math.min(100, (100 * ms) / lastsMs) : 0}%`;
  remaining.querySelector("span").textContent = `${Math.ceil(ms / 1000)} s`;
}

function refresh() {
  const isGone = performance.now() - receivedAt > GONE_MS;
  const isOther = body.classList.contains("is-gone") !== isGone;
  body.classList.toggle("is-gone", isGone);
  count();
  if (isOther) fit();
}

function connect() {
  const updates = new EventSource(hasLetters ? "updates" : "updates?letters=none");
  updates.onmessage = (message) => {
    receivedAt = performance.now();
    const {left_s: seconds, ...cue} = JSON.parse(message.data);
    const text = JSON.stringify(cue);
    [endsAt, lastsMs] = [receivedAt + 1000 * (seconds ?? 0), 1000 * (cue.release_s ?? 0)];
    if (text !== shown) {
      shown = text;
      show(cue);
      refresh();
      fit();
    } else refresh();
  };
  updates.onerror = () => {
    if (updates.readyState === EventSource.CLOSED) setTimeout(connect, 1000); // the browser retries every other error by itself
  };
}

addEventListener("resize", fit);
setInterval(refresh, REFRESH_MS);
connect();
