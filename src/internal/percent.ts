/** Percent-encoding by the letter of RFC 3986, which SigV4 and SageMaker's query pattern ask for (protocol 1.3). Pure. */

/** Encodes all but letters, digits and `-._~`; `encodeURIComponent` leaves ! ' ( ) * as they are. */
export const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)

/** Decodes what {@link encode} made, and what others encode more freely; `undefined` where it is not UTF-8 in percent-encoding. */
export const decode = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
