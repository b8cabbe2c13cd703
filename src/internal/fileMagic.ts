/** What a file is, by its first bytes: for people who gave it for something else. */
/* oxlint-disable no-control-regex -- formats are known by bytes of any value */

/**
 * Names what begins with these bytes, as the end of a sentence: `it looks like FLAC`. 64 bytes are enough to know a
 * format; text is told from more.
 */
export const looksLike = (start: Uint8Array): string => {
  const head = latin1(start.subarray(0, 512))
  const magic = magics.find(([pattern]) => pattern.test(head))
  if (magic !== undefined) return `it looks like ${magic[1]}`
  if (head.startsWith("RIFX")) return "it is big-endian (RIFX)"
  if (head.startsWith("RIFF")) return `it is another kind of RIFF file${inBrackets(head.slice(8, 12).trim())}`
  const readable = new TextDecoder().decode(start.subarray(0, 512), { stream: true })
  if (/[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f\ufffd]/.test(readable)) return "no format is recognised in its first bytes"
  const markup = texts.find(([pattern]) => pattern.test(readable))
  return markup === undefined ? "it looks like text" : `it looks like ${markup[1]}`
}

/** Each byte as the character of its number. */
export const latin1 = (bytes: Uint8Array): string => String.fromCharCode(...bytes)

const inBrackets = (form: string): string => /^[\x20-\x7e]+$/.test(form) ? ` (${form})` : ""

const magics: ReadonlyArray<readonly [pattern: RegExp, what: string]> = [
  [/^ID3|^\xff[\xe2-\xe7\xf2-\xf7\xfa-\xfb][\x10-\xeb]/, "MP3"],
  [/^\xff[\xfc\xfd][\x10-\xeb]/, "MP2"],
  [/^\xff[\xf0\xf1\xf8\xf9]|^ADIF/, "AAC"],
  [/^OggS.{24}OpusHead/s, "Ogg (Opus)"],
  [/^OggS.{24}\x01vorbis/s, "Ogg (Vorbis)"],
  [/^OggS.{24}\x7fFLAC/s, "Ogg (FLAC)"],
  [/^OggS.{24}Speex /s, "Ogg (Speex)"],
  [/^OggS/, "Ogg"],
  [/^fLaC/, "FLAC"],
  [/^\x00...ftyp(3gp|3g2)/s, "3GP"],
  [/^\x00...ftypqt/s, "QuickTime"],
  [/^\x00...ftyp/s, "MP4"],
  [/^\x00...(moov|mdat|wide|free|skip)/s, "QuickTime"],
  [/^\x1aE\xdf\xa3/, "WebM or Matroska"],
  [/^FORM....AIF[FC]/s, "AIFF"],
  [/^FORM....8SVX/s, "8SVX"],
  [/^\.snd/, "AU"],
  [/^caff\x00/, "CAF"],
  [/^NIST_1A/, "NIST SPHERE"],
  [/^riff\x2e\x91\xcf\x11/, "Wave64 (W64)"],
  [/^#!AMR-WB/, "AMR-WB"],
  [/^#!AMR/, "AMR"],
  [/^\x02?#!SILK/, "SILK"],
  [/^#!EVS/, "EVS"],
  [/^\x30\x26\xb2\x75\x8e\x66\xcf\x11/, "ASF (WMA)"],
  [/^\.ra\xfd|^\.RMF/, "RealAudio"],
  [/^wvpk/, "WavPack"],
  [/^MAC [\x80-\xff]\x0f/, "Monkey's Audio"],
  [/^TTA[12]/, "True Audio"],
  [/^MPCK|^MP\+/, "Musepack"],
  [/^DSD \x1c|^FRM8/, "DSD"],
  [/^Creative Voice File/, "VOC"],
  [/^\x0bw|^w\x0b/, "AC-3"],
  [/^\x7f\xfe\x80\x01|^\xfe\x7f\x01\x80/, "DTS"],
  [/^MThd/, "MIDI, which holds notes and no sound"],
  [/^\x00\x00\x01[\xba\xb3]/, "MPEG video"],
  [/^G.{187}G.{187}G/s, "an MPEG transport stream"],
  [/^\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1/, "an Office document"],
  [/^\x1f\x8b\x08/, "gzip"],
  [/^PK(\x03\x04|\x05\x06)/, "a ZIP archive"],
  [/^BZh[1-9]1AY/, "bzip2"],
  [/^\xfd7zXZ\x00/, "xz"],
  [/^\x28\xb5\x2f\xfd/, "Zstandard"],
  [/^7z\xbc\xaf\x27\x1c/, "a 7-Zip archive"],
  [/^Rar!\x1a\x07/, "a RAR archive"],
  [/^.{257}ustar/s, "a tar archive"],
  [/^%PDF-/, "PDF"],
  [/^\x89PNG/, "a PNG image"],
  [/^\xff\xd8\xff/, "a JPEG image"],
  [/^GIF8/, "a GIF image"],
  [/^\x7fELF|^MZ.\x00/s, "a program"],
  [/^SQLite format 3/, "an SQLite database"],
  [/^(\xff\xfe|\xfe\xff)/, "text in UTF-16"]
]

/** What text there is instead of audio: a page or a message of a server, mostly, that was saved as if it were the file. */
const texts: ReadonlyArray<readonly [pattern: RegExp, what: string]> = [
  [/^\s*HTTP\/[\d.]+ \d/, "text (an HTTP response)"],
  [/^\s*(<!--.*?-->\s*)?<(!doctype html|html|head|body)\b/is, "text (an HTML page)"],
  [/^\s*<\?xml|^\s*<[A-Za-z]\w*[\s>]/, "text (XML)"],
  [/^version https:\/\/git-lfs/, "text (a Git LFS pointer, in place of the file)"],
  [/^\s*data:[\w/+.-]+;base64,|^\s*UklGR/, "text (base64, to be decoded first)"],
  [/^#EXTM3U|^\[playlist\]/, "text (a playlist)"]
]
