// A DNS server on loopback, over UDP: knows a handful of records, says NXDOMAIN to the rest, or nothing at all.

type Record = string | { readonly name: string; readonly port: number };

/** By `A NAME`, `AAAA NAME` or `SRV NAME`. */
type Zone = Readonly<{ [question: string]: readonly Record[] }>;

const types: ReadonlyMap<number, string> = new Map([
  [1, "A"],
  [28, "AAAA"],
  [33, "SRV"],
]);

const headerBytes = 12;
const ttlSeconds = 1;

export async function startDnsServer(zone: Zone | "silent") {
  const socket = await Bun.udpSocket({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(from, bytes, port, address) {
        if (zone !== "silent") from.send(answerTo(Buffer.from(bytes), zone), port, address);
      },
    },
  });
  return { address: `127.0.0.1:${socket.port}`, stop: () => socket.close() };
}

function answerTo(query: Buffer, zone: Zone): Buffer {
  const { name, end } = readName(query);
  const typeNumber = query.readUInt16BE(end);
  const type = types.get(typeNumber);
  const records = zone[`${type} ${name}`] ?? [];
  const isKnown = Object.keys(zone).some((question) => question.endsWith(` ${name}`));
  const header = Buffer.alloc(headerBytes);
  query.copy(header, 0, 0, 2);
  // An answer, recursion wanted and had; NXDOMAIN or all is well.
  header.writeUInt16BE(0x8180 | (isKnown ? 0 : 3), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  const answers = records.map((record) => {
    const data = dataOf(record);
    const head = Buffer.alloc(12);
    // The name is that of the question.
    head.writeUInt16BE(0xc000 | headerBytes, 0);
    head.writeUInt16BE(typeNumber, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt32BE(ttlSeconds, 6);
    head.writeUInt16BE(data.length, 10);
    return Buffer.concat([head, data]);
  });
  return Buffer.concat([header, query.subarray(headerBytes, end + 4), ...answers]);
}

/** `end`: after the name, where the question's type stands. */
function readName(query: Buffer): { readonly name: string; readonly end: number } {
  const labels: string[] = [];
  let at = headerBytes;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), end: at + 1 };
}

function dataOf(record: Record): Buffer {
  if (typeof record !== "string") {
    const labels = record.name
      .split(".")
      .map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`));
    const priorityWeightPort = Buffer.alloc(6);
    priorityWeightPort.writeUInt16BE(record.port, 4);
    return Buffer.concat([priorityWeightPort, ...labels, Buffer.alloc(1)]);
  }
  if (!record.includes(":")) return Buffer.from(record.split(".").map(Number));
  if (record !== "::1") throw new Error(`no way to write ${record}`);
  const loopback = Buffer.alloc(16);
  loopback[15] = 1;
  return loopback;
}
