const SIGNATURES: readonly { magic: string; meaning: string }[] = [
  {
    magic: "version https://git-lfs",
    meaning: "it is a git-LFS pointer, not the model; fetch it with `git lfs pull`",
  },
  { magic: "<", meaning: "it looks like a web page or XML; the download gave something else" },
  { magic: "{", meaning: "it looks like JSON; the download gave something else" },
  { magic: "PK\u0003\u0004", meaning: "it is a ZIP archive; unpack it first" },
  { magic: "\u001f\u008b", meaning: "it is gzip data; unpack it first" },
  { magic: "\u0089PNG", meaning: "it is a PNG image" },
  { magic: "\u0089HDF", meaning: "it is an HDF5 file (Keras?); convert it to ONNX first" },
];
const SNIFFED_BYTES = 64;

/** What a file that is no ONNX model is instead, with what to do; undefined if nothing is recognised. */
export function recogniseForeignFile(bytes: Uint8Array): string | undefined {
  if (bytes.byteLength === 0) return "it is empty";
  const head = String.fromCharCode(...bytes.subarray(0, SNIFFED_BYTES)).trimStart();
  return SIGNATURES.find((signature) => head.startsWith(signature.magic))?.meaning;
}
