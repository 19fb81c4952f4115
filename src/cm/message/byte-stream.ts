/** Web streams of bytes, which is what openpgp.js speaks. They are read by reader: it locks them against iteration. */
export type ByteStream = ReadableStream<Uint8Array>

/** Reads to the end and keeps nothing; rejects with the stream's error. */
export async function drainStream(stream: ByteStream): Promise<void> {
  const reader = stream.getReader()
  while (!(await reader.read()).done);
}

/** The whole of a short stream. */
export async function collectStream(stream: ByteStream): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream).arrayBuffer())
}
