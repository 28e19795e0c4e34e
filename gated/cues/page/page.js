"use strict";
// Shows what the gate says, and says itself when the gate is silent. Text is only ever set as text.

const GONE_MS = 3000;
const LOOK_MS = 200;
const body = document.body;
const [picture, words, sentences] = ["use", ".words", ".sentences"].map((part) => document.querySelector(`#cue ${part}`));
const notes = document.querySelector("#notes");
let heardAt = performance.now();
let shown = "";

function paragraphs(texts) {
  return texts.map(([language, text]) => {
    const line = document.createElement("p");
    line.lang = language;
    line.textContent = text;
    return line;
  });
}

function show(cue) {
  body.dataset.situation = cue.situation;
  body.dataset.colour = cue.colour;
  body.dataset.first = cue.first ?? "";
  picture.setAttribute("href", `#${cue.pictogram}`);
  words.replaceChildren(...paragraphs(cue.words));
  sentences.replaceChildren(...paragraphs(cue.sentences));
  notes.replaceChildren(...paragraphs(cue.notes));
}

function listen() {
  const updates = new EventSource("updates");
  updates.onmessage = (message) => {
    heardAt = performance.now();
    body.classList.remove("is-gone");
    if (message.data !== shown) {
      shown = message.data;
      show(JSON.parse(shown));
    }
  };
  updates.onerror = () => {
    if (updates.readyState === EventSource.CLOSED) setTimeout(listen, 1000); // the browser itself retries all else
  };
}

setInterval(() => body.classList.toggle("is-gone", performance.now() - heardAt > GONE_MS), LOOK_MS);
listen();
