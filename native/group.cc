// The ranks that train together: libtorch's c10d. A store of small texts that every rank sees, and sums and copies of tensors
// among all ranks, by Gloo where tensors are on the CPU and by NCCL where they are on GPUs. One group a process. What blocks on another
// machine runs on a thread of its own and gives a promise, but for `waitForRanks`, which is where a training step waits.
#include <napi.h>

#include <functional>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "binding.h"

#if defined(TAPER_GLOO) || defined(TAPER_NCCL)
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#ifdef TAPER_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#endif
#ifdef TAPER_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

namespace {

using std::chrono::milliseconds;

#if TAPER_TORCH_AT_LEAST(2, 0)
using Backend = c10d::Backend;
#else
using Backend = c10d::ProcessGroup;
#endif
using Store = c10::intrusive_ptr<c10d::Store>;

// The collectives of a group, and a way to hang up: the other ranks then fail at once instead of waiting.
struct Connection {
  c10::intrusive_ptr<Backend> ranks;
  std::function<void()> hangUp;
};

#ifdef TAPER_GLOO
struct Gloo : c10d::ProcessGroupGloo {
  using ProcessGroupGloo::ProcessGroupGloo;
  void hangUp() {
    for (const auto& context : contexts_) context->closeConnections();
  }
};

// `address` is this machine's, as others reach it.
Connection connectGloo(const Store& store, int rank, int size, const std::string& address, milliseconds timeout) {
  const auto options = c10d::ProcessGroupGloo::Options::create(timeout);
  options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(address));
  options->threads = 2;
  const auto gloo = c10::make_intrusive<Gloo>(store, rank, size, options);
  return {gloo, [gloo] { gloo->hangUp(); }};
}
#endif

#ifdef TAPER_NCCL
// The connections themselves are made by the first collective.
Connection connectNccl(const Store& store, int rank, int size, milliseconds timeout) {
  const auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout;
  const auto nccl = c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options);
  return {nccl, [nccl] { nccl->abort(); }};
}
#endif

// Never destroyed: a thread may still wait in it when the process ends.
struct Group {
  Store store;
  Connection connection;
  std::unordered_map<int64_t, c10::intrusive_ptr<c10d::Work>> pending;
  int64_t next = 1;

  static Group& only() {
    static auto* group = new Group;
    return *group;
  }
};

// The way back to JavaScript, which closes when the process ends: a thread that comes later finds nobody.
struct WayBack {
  std::mutex mutex;
  bool isOpen = false;
  Napi::ThreadSafeFunction function;

  static WayBack& only() {
    static auto* way = new WayBack;
    return *way;
  }

  // The hook runs before the function is destroyed, being added after it. The function does not keep the process alive.
  void open(Napi::Env env) {
    function = Napi::ThreadSafeFunction::New(env, Napi::Function::New(env, [](const Napi::CallbackInfo&) {}), "taper group", 0, 1);
    function.Unref(env);
    isOpen = true;
    env.AddCleanupHook([this] {
      const std::lock_guard<std::mutex> lock(mutex);
      isOpen = false;
    });
  }
};

// What a thread hands to JavaScript: a text, nothing, or an error.
struct Answer {
  Napi::Promise::Deferred deferred;
  Optional<std::string> text;
  std::string error;

  static void settle(Napi::Env env, Napi::Function, Answer* answer) {
    const std::unique_ptr<Answer> owned(answer);
    if (env == nullptr) return;  // the process is ending
    try {
      if (!answer->error.empty())
        answer->deferred.Reject(nativeError(env, answer->error));
      else
        answer->deferred.Resolve(answer->text ? toJs(env, *answer->text) : env.Undefined());
    } catch (const Napi::Error&) {
      // JavaScript runs no more.
    }
  }
};

// Runs `work` on a thread of its own, and gives a promise of what comes out.
Napi::Value later(Napi::Env env, const char* name, std::function<Optional<std::string>()> work) {
  auto* answer = new Answer{Napi::Promise::Deferred::New(env), {}, {}};
  const auto promise = answer->deferred.Promise();
  std::thread([answer, name, work = std::move(work)] {
    try {
      answer->text = work();
    } catch (const c10::Error& error) {
      answer->error = std::string(name) + ": " + firstLine(error.what_without_backtrace());
    } catch (const std::exception& error) {
      answer->error = std::string(name) + ": " + firstLine(error.what());
    }
    auto& way = WayBack::only();
    const std::lock_guard<std::mutex> lock(way.mutex);
    if (way.isOpen) way.function.NonBlockingCall(answer, Answer::settle);
  }).detach();
  return promise;
}

std::string textOf(const Napi::CallbackInfo& info, size_t i) { return info[i].As<Napi::String>().Utf8Value(); }
int64_t numberOf(const Napi::CallbackInfo& info, size_t i) { return info[i].As<Napi::Number>().Int64Value(); }

// openStore(host, port, isServer, timeoutMs)
Napi::Value openStore(const Napi::CallbackInfo& info) {
  const auto host = textOf(info, 0);
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(numberOf(info, 1));
  options.isServer = info[2].As<Napi::Boolean>().Value();
  options.waitWorkers = false;
  options.timeout = milliseconds(numberOf(info, 3));
#if TAPER_TORCH_AT_LEAST(2, 4)
  options.useLibUV = false;  // the default, which Debian builds without
#endif
  return later(info.Env(), "openStore", [=]() -> Optional<std::string> {
    Group::only().store = c10::make_intrusive<c10d::TCPStore>(host, options);
    return {};
  });
}

// storeSet(key, text)
Napi::Value storeSet(const Napi::CallbackInfo& info) {
  return later(info.Env(), "storeSet", [key = textOf(info, 0), text = textOf(info, 1)]() -> Optional<std::string> {
    Group::only().store->set(key, std::vector<uint8_t>(text.begin(), text.end()));
    return {};
  });
}

// storeGet(key): what was set, or undefined when nothing was
Napi::Value storeGet(const Napi::CallbackInfo& info) {
  return later(info.Env(), "storeGet", [key = textOf(info, 0)]() -> Optional<std::string> {
    const auto store = Group::only().store;
    if (!store->check({key})) return {};
    const auto bytes = store->get(key);
    return std::string(bytes.begin(), bytes.end());
  });
}

Connection connect(const std::string& library, const Store& store, int rank, int size, const std::string& address, milliseconds timeout) {
#ifdef TAPER_NCCL
  if (library == "nccl") return connectNccl(store, rank, size, timeout);
#endif
#ifdef TAPER_GLOO
  if (library == "gloo") return connectGloo(store, rank, size, address, timeout);
#endif
  TORCH_CHECK(false, "the addon was built without ", library);
}

// joinGroup(rank, size, address, prefix, timeoutMs, library): connects with all others
Napi::Value joinGroup(const Napi::CallbackInfo& info) {
  const auto rank = static_cast<int>(numberOf(info, 0)), size = static_cast<int>(numberOf(info, 1));
  return later(info.Env(), "joinGroup",
               [=, address = textOf(info, 2), prefix = textOf(info, 3), timeout = milliseconds(numberOf(info, 4)),
                library = textOf(info, 5)]() -> Optional<std::string> {
                 auto& group = Group::only();
                 const auto store = c10::make_intrusive<c10d::PrefixStore>(prefix, group.store);
                 group.connection = connect(library, store, rank, size, address, timeout);
                 return {};
               });
}

int64_t begin(c10::intrusive_ptr<c10d::Work> work) {
  auto& group = Group::only();
  group.pending.emplace(group.next, std::move(work));
  return group.next++;
}

// Each begins, and gives the number that waitForRanks takes. The tensor is changed in place meanwhile.
int64_t allReduce(const at::Tensor& x) {
  std::vector<at::Tensor> tensors{x.detach()};
  return begin(Group::only().connection.ranks->allreduce(tensors));
}
int64_t reduce(const at::Tensor& x, int64_t root) {
  std::vector<at::Tensor> tensors{x.detach()};
  c10d::ReduceOptions options;
  options.rootRank = static_cast<int>(root);
  return begin(Group::only().connection.ranks->reduce(tensors, options));
}
int64_t broadcast(const at::Tensor& x, int64_t root) {
  std::vector<at::Tensor> tensors{x.detach()};
  c10d::BroadcastOptions options;
  options.rootRank = static_cast<int>(root);
  return begin(Group::only().connection.ranks->broadcast(tensors, options));
}
void waitForRanks(int64_t number) {
  auto& pending = Group::only().pending;
  const auto found = pending.find(number);
  const auto work = found->second;
  pending.erase(found);
  work->wait();
}

void hangUp() {
  if (Group::only().connection.hangUp) Group::only().connection.hangUp();
}
bool hasGroups(const std::string& library) {
#ifdef TAPER_GLOO
  if (library == "gloo") return true;
#endif
#ifdef TAPER_NCCL
  if (library == "nccl") return true;
#endif
  return false;
}

}  // namespace

void defineGroup(Napi::Object exports) {
  const auto env = exports.Env();
  WayBack::only().open(env);
  exports["openStore"] = Napi::Function::New(env, openStore);
  exports["storeSet"] = Napi::Function::New(env, storeSet);
  exports["storeGet"] = Napi::Function::New(env, storeGet);
  exports["joinGroup"] = Napi::Function::New(env, joinGroup);
  define(exports, "allReduce", allReduce);
  define(exports, "reduce", reduce);
  define(exports, "broadcast", broadcast);
  define(exports, "waitForRanks", waitForRanks);
  define(exports, "hangUp", hangUp);
  define(exports, "hasGroups", hasGroups);
}

#else

namespace {
bool hasGroups(const std::string&) { return false; }
}  // namespace

void defineGroup(Napi::Object exports) { define(exports, "hasGroups", hasGroups); }

#endif
