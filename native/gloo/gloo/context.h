// What c10d's ProcessGroupGloo.hpp needs to know of Gloo, for a libtorch that has Gloo inside but none of its headers: each of
// these files stands for the one of its name. Nothing here is laid out or called but through pointers, so that it fits every Gloo.
#pragma once
#include <chrono>

namespace gloo {

class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
  void closeConnections();
};

}  // namespace gloo
