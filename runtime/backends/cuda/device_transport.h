#pragma once

namespace dcc::cuda {

// How ranks' devices talk.
enum class DeviceTransport {
  kAuto,  // directly where the devices reach each other, and NCCL; else as kHost
  kNccl,  // NCCL, and directly what is small
  kHost,  // through host memory and the ranks' Communicator
};

}  // namespace dcc::cuda
