/** Addresses of endpoints: as they are written, and as the SDK knows them (protocol 5.1). */
import type { SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime"
import * as Option from "effect/Option"

/** SageMaker streams on this port only; 443 accepts and then hangs (protocol 5.1). */
const streamingPort = "8443"

/** The host of a URL as sockets take it. */
export const hostOf = (url: URL): string => url.hostname.replace(/^\[|\]$/g, "")

/** The port of a URL, also where that is left to its scheme. */
export const portOf = (url: URL): number => Number(url.port || (url.protocol === "http:" ? 80 : 443))

/** The region in the host of an AWS endpoint, also of one within a VPC. */
export const regionOf = (url: URL): string | undefined =>
  /(?:^|\.)runtime(?:-fips)?\.sagemaker(?:-fips)?\.([a-z0-9-]+)\./.exec(url.hostname)?.[1]

/** An http(s) URL. */
const parseUrl = (text: string): URL | undefined => {
  const url = URL.parse(text)
  return url !== null && (url.protocol === "http:" || url.protocol === "https:") ? url : undefined
}

/** Whether the text of a URL names a port: a URL forgets the one of its scheme. */
const namesPort = (text: string): boolean => /^[^/]*\/\/[^/?#]*:\d+(?:[/?#]|$)/.test(text.trim())

/**
 * An endpoint's address that somebody wrote, and what is wrong with it. Where it names no port it gets SageMaker's: an AWS
 * host always, any other one with `ownPort`.
 */
export const custom = (text: string, ownPort: boolean): { readonly url: URL | undefined; readonly problems: ReadonlyArray<string> } => {
  const url = parseUrl(text)
  if (url === undefined) return { url, problems: ["must be a URL that starts with https:// or http://"] }
  const isPlain = `${url.username}${url.password}${url.search}${url.hash}` === ""
  if (!namesPort(text) && (ownPort || regionOf(url) !== undefined)) url.port = streamingPort
  return { url, problems: isPlain ? [] : ["must have no user, query or fragment"] }
}

/** AWS's own endpoint, if the SDK knows one. Its rules are for an older service of the same hosts, without the port and with other FIPS names. */
export const awsUrl = Option.liftThrowable(
  (client: SageMakerRuntimeClient, region: string, useFips: boolean, useDualStack: boolean): URL => {
    const { url } = client.config.endpointProvider({ Region: region, UseDualStack: useDualStack, UseFIPS: false })
    const own = new URL(url)
    if (useFips) own.hostname = own.hostname.replace(/^runtime\./, "runtime-fips.")
    own.port = streamingPort
    return own
  }
)
