// Signals wait while an operation computes. Until 3.12, oneDNN's generated float32 products point the stack pointer into the heap:
// a handler that runs then (Node's for Ctrl-C, a profiler's) overwrites what lies below. Threads that start meanwhile, OpenMP's among
// them, never take signals; one of Node's other threads does. Source: github.com/uxlfoundation/oneDNN/issues/4845.
#pragma once
#include <csignal>

class SignalsWait {
 public:
  SignalsWait() {
    sigset_t all;
    sigfillset(&all);
    // A fault in the operation itself ends the process as ever.
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) sigdelset(&all, fault);
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~SignalsWait() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsWait(const SignalsWait&) = delete;
  SignalsWait& operator=(const SignalsWait&) = delete;

 private:
  sigset_t before_;
};
