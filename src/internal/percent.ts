/** Percent-encoding by the letter of RFC 3986, which SigV4 and SageMaker's query pattern ask for (protocol 1.3). Pure. */

/** Encodes all but letters, digits and `-._~`; `encodeURIComponent` leaves ! ' ( ) * as they are. */
export const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
