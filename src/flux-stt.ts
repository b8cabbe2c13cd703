#!/usr/bin/env node
/**
 * Starts the built command fast: its code, and what it uses of its dependencies, lies in few files (see rolldown.config.js),
 * and is compiled once. Node keeps what it compiled in the system's folder for temporary files, where it may write there.
 */
import * as nodeModule from "node:module"
import { insist } from "./cli/nodeVersion.ts"

insist()
nodeModule.enableCompileCache()
await import(new URL("command/bin.js", import.meta.url).href)
