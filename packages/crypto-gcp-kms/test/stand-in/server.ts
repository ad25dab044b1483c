import { setTimeout as sleep } from "node:timers/promises";
import {
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
} from "@grpc/grpc-js";
import { fromJSON } from "@grpc/proto-loader";
import { createKms, type Handlers, type Message } from "./kms.ts";
import { readProtos } from "./protos.ts";
import { CODES, Fault, Resources } from "./resources.ts";
import { startRest } from "./rest.ts";

/** What happens to a call in place of, or on top of, the service's work. */
export interface FaultRule {
  /** A method of the SDK, e.g. `encrypt`; absent: every method. */
  readonly method?: string;
  /** How many calls it hits. Default: every one. */
  times?: number;
  /** Answered in place of a response. */
  readonly fault?: Fault;
  readonly delayMs?: number;
  /** Changes a response before it is sent. */
  readonly response?: (response: Message) => Message;
  /** Changes a request before it is handled, as a broken proxy would. */
  readonly request?: (request: Message) => Message;
}

/** A running stand-in. Two servers, gRPC and REST, over the same keys. */
export interface StandIn {
  /** `http://127.0.0.1:PORT`: both are without TLS. */
  readonly grpcUrl: string;
  readonly restUrl: string;
  readonly resources: Resources;
  /** Faults in force; the first that fits is applied. */
  readonly rules: FaultRule[];
  /** Names of the methods called, oldest first. */
  readonly calls: string[];
  /** Metadata `x-goog-request-params` and `authorization` of each gRPC call. */
  readonly headers: { readonly routing: string; readonly authorization: string }[];
  stop(): Promise<void>;
}

/** Starts both servers on the loopback address; port 0: any free one. */
export const startStandIn = async ({ grpcPort = 0, restPort = 0 } = {}): Promise<StandIn> => {
  const resources = new Resources();
  const kms = createKms(resources);
  const rules: FaultRule[] = [];
  const calls: string[] = [];
  const headers: { routing: string; authorization: string }[] = [];

  const handle = async (method: string, request: Message): Promise<Message> => {
    calls.push(method);
    const handler = kms[method];
    if (handler === undefined) throw new Fault("UNIMPLEMENTED", `${method} is not implemented.`);
    const rule = rules.find((each) => (each.method ?? method) === method && (each.times ?? 1) > 0);
    if (rule?.times !== undefined) rule.times--;
    if (rule?.delayMs !== undefined) await sleep(rule.delayMs);
    if (rule?.fault !== undefined) throw rule.fault;
    const response = await handler(rule?.request?.(request) ?? request);
    return rule?.response?.(response) ?? response;
  };

  const { server, port } = await startGrpc(kms, handle, grpcPort, headers);
  const rest = await startRest(handle, restPort);
  return {
    grpcUrl: `http://127.0.0.1:${port}`,
    restUrl: rest.url,
    resources,
    rules,
    calls,
    headers,
    async stop() {
      server.forceShutdown();
      await rest.stop();
    },
  };
};

const startGrpc = async (
  kms: Handlers,
  handle: (method: string, request: Message) => Promise<Message>,
  port: number,
  headers: { routing: string; authorization: string }[],
): Promise<{ server: Server; port: number }> => {
  const options = { longs: String, enums: String, defaults: true };
  const definitions = fromJSON(readProtos(), options);
  const service = definitions["google.cloud.kms.v1.KeyManagementService"] as ServiceDefinition;
  const handlers: Record<string, handleUnaryCall<Message, Message>> = {};
  for (const method of Object.keys(kms)) {
    const rpc = method[0]!.toUpperCase() + method.slice(1);
    handlers[rpc] = (call, callback) => {
      headers.push({
        routing: String(call.metadata.get("x-goog-request-params")[0] ?? ""),
        authorization: String(call.metadata.get("authorization")[0] ?? ""),
      });
      handle(method, call.request).then(
        (response) => callback(null, response),
        (error) => callback(toStatus(error)),
      );
    };
  }
  const server = new Server();
  server.addService(service, handlers);
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, number) =>
      error ? reject(error) : resolve(number),
    );
  });
  return { server, port: bound };
};

const toStatus = (error: unknown) => {
  const fault = error instanceof Fault ? error : new Fault("UNKNOWN", String(error));
  return Object.assign(new Error(fault.message), {
    code: CODES[fault.code][0] as number,
    details: fault.message,
    metadata: new Metadata(),
  });
};
