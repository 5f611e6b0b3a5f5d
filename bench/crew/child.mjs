// A child that asks or answers, through its parent.

let answered = () => {};

process.on('message', async (message) => {
  if (message.what === 'ask') {
    const times = [];
    for (let i = 0; i < message.count; i++) {
      const begun = process.hrtime.bigint();
      const answer = new Promise((resolve) => {
        answered = resolve;
      });
      process.send({ to: 'other', what: `ping ${i} of a memo that has forty bytes` });
      await answer;
      times.push(Number(process.hrtime.bigint() - begun));
    }
    process.send({ times });
  } else if (message.what.startsWith('ping')) {
    process.send({ to: 'one', what: `pong${message.what.slice(4)}` });
  } else {
    answered();
  }
});
