/**
 * Deepgram Flux speech-to-text on AWS SageMaker, as Effect services. Each module is also a path of its own, such as
 * `effect-flux-sagemaker/Transcriber`; import those where start-up time counts.
 */
export * as Audio from "./Audio.ts"
export * as AudioFile from "./AudioFile.ts"
export * as Capture from "./Capture.ts"
export * as FakeTransport from "./FakeTransport.ts"
export * as Fault from "./simulator/Fault.ts"
export * as FluxError from "./FluxError.ts"
export * as FluxEvent from "./FluxEvent.ts"
export * as FluxMessage from "./FluxMessage.ts"
export * as FluxSession from "./FluxSession.ts"
export * as FluxSettings from "./FluxSettings.ts"
export * as FluxTransport from "./FluxTransport.ts"
export * as Ledger from "./simulator/Ledger.ts"
export * as Profile from "./simulator/Profile.ts"
export * as Recording from "./simulator/Recording.ts"
export * as Replay from "./simulator/Replay.ts"
export * as SageMakerTransport from "./SageMakerTransport.ts"
export * as Script from "./simulator/Script.ts"
export * as SimulatorServer from "./simulator/SimulatorServer.ts"
export * as Stamp from "./simulator/Stamp.ts"
export * as Transcriber from "./Transcriber.ts"
