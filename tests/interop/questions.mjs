// Asks whoever started a script: one JSON object a line on standard output, answered on standard input in order.
import { createInterface } from 'node:readline';

const waiting = [];
let answers;

export function ask(question) {
  answers ??= createInterface({ input: process.stdin }).on('line', (line) => waiting.shift()?.(JSON.parse(line)));
  return new Promise((answered) => {
    waiting.push(answered);
    console.log(JSON.stringify(question));
  });
}
