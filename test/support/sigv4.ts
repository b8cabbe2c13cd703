/** SigV4 from the specification alone, over a canonical request that the test writes out itself. */
import * as crypto from "node:crypto"

/** Who signs, where, and when: `stamp` is an `x-amz-date`. */
export interface Signing {
  readonly secretAccessKey: string
  readonly region: string
  readonly stamp: string
}

const hmac = (key: crypto.BinaryLike, text: string): Buffer => crypto.createHmac("sha256", key).update(text).digest()

/** The signature of a request to SageMaker, in hex. */
export const signatureOf = (canonicalRequest: ReadonlyArray<string>, { region, secretAccessKey, stamp }: Signing): string => {
  const day = stamp.slice(0, 8)
  const key = [region, "sagemaker", "aws4_request"].reduce((key, part) => hmac(key, part), hmac(`AWS4${secretAccessKey}`, day))
  const hash = crypto.createHash("sha256").update(canonicalRequest.join("\n")).digest("hex")
  return hmac(key, `AWS4-HMAC-SHA256\n${stamp}\n${day}/${region}/sagemaker/aws4_request\n${hash}`).toString("hex")
}
