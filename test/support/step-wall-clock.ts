// Loaded before the program (`bun --preload`): its wall clock steps an hour forth at SIGUSR1 and an hour back at SIGUSR2,
// as an operator's hand or a wild NTP server would do it. The machine's own clock stays alone.

const hourMs = 3_600_000;
const { now } = Date;
let stepMs = 0;

Date.now = () => now() + stepMs;
process.on("SIGUSR1", () => {
  stepMs += hourMs;
});
process.on("SIGUSR2", () => {
  stepMs -= hourMs;
});
