import { startStandIn } from "./server.ts";

// node main.ts GRPC_PORT: a process of its own, for what is to be shown across processes.
const standIn = await startStandIn({ grpcPort: Number(process.argv[2] ?? 0) });
console.log(`gRPC ${standIn.grpcUrl}, REST ${standIn.restUrl}`);
