#include "matmul.h"

#include <ATen/ATen.h>

Matrix matrixOf(const at::Tensor& tensor) {
  TORCH_INTERNAL_ASSERT(tensor.is_contiguous());
  const int64_t columns = tensor.dim() ? tensor.size(-1) : 1;
  return {tensor.data_ptr(), tensor.scalar_type(), columns ? tensor.numel() / columns : 0, columns, columns, 1};
}

#ifdef TAPER_ONEDNN
#include <omp.h>

#include <array>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

namespace {

using dnnl::memory;

dnnl::engine& engine() {
  static dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

memory::desc describe(const Matrix& m) {
  const auto type = m.type == at::kBFloat16 ? memory::data_type::bf16 : memory::data_type::f32;
  return {{m.rows, m.columns}, type, memory::dims{m.rowStride, m.columnStride}};
}

// A product of one shape, ready to run on the thread that made it once its memory is set.
struct Product {
  dnnl::matmul primitive;
  std::unordered_map<int, memory> arguments;
  size_t scratchBytes;

  void set(int argument, const void* data) { arguments.at(argument).set_data_handle(const_cast<void*>(data)); }
};

Product prepare(const Matrix& a, const Matrix& b, const Matrix& c, bool hasBias, bool accumulate) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (accumulate) {
    dnnl::post_ops sum;
    sum.append_sum(1);
    attributes.set_post_ops(sum);
  }
  const memory::desc biasRow = hasBias ? memory::desc({1, c.columns}, memory::data_type::f32, memory::format_tag::ab) : memory::desc();
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc description(engine(), describe(a), describe(b), biasRow, describe(c), attributes);
#else
  const dnnl::matmul::primitive_desc description({describe(a), describe(b), biasRow, describe(c)}, attributes, engine());
#endif
  const auto unset = [&](const memory::desc& d) { return memory(d, engine(), nullptr); };
  Product product{dnnl::matmul(description), {}, description.scratchpad_desc().get_size()};
  product.arguments = {{DNNL_ARG_SRC, unset(describe(a))},
                       {DNNL_ARG_WEIGHTS, unset(describe(b))},
                       {DNNL_ARG_DST, unset(describe(c))},
                       {DNNL_ARG_SCRATCHPAD, unset(description.scratchpad_desc())}};
  if (hasBias) product.arguments.emplace(DNNL_ARG_BIAS, unset(biasRow));
  return product;
}

// Working memory that oneDNN wants while a product runs; one for each thread, as large as the largest product asked for.
void* scratch(size_t bytes) {
  static thread_local at::Tensor room;
  if (!room.defined() || room.nbytes() < bytes) room = at::empty({static_cast<int64_t>(bytes)}, at::kByte);
  return room.data_ptr();
}

}  // namespace

void multiply(const Matrix& a, const Matrix& b, const Matrix& c, const float* bias, bool accumulate) {
  // How a product is cut into tasks depends on the threads it may use: one inside somebody else's parallel loop.
  using Key = std::array<int64_t, 13>;
  static thread_local std::map<Key, Product> products;
  static thread_local dnnl::stream stream(engine());
  const Key key{a.rows, a.columns, c.columns, a.rowStride, a.columnStride, b.rowStride, b.columnStride, c.rowStride, c.columnStride,
                a.type == at::kBFloat16, c.type == at::kBFloat16, (bias != nullptr) + 2 * accumulate,
                omp_in_parallel() ? 1 : omp_get_max_threads()};
  auto found = products.find(key);
  if (found == products.end()) {
    constexpr size_t most = 1024;
    if (products.size() >= most) products.clear();
    found = products.emplace(key, prepare(a, b, c, bias != nullptr, accumulate)).first;
  }
  Product& product = found->second;
  product.set(DNNL_ARG_SRC, a.data);
  product.set(DNNL_ARG_WEIGHTS, b.data);
  product.set(DNNL_ARG_DST, c.data);
  product.set(DNNL_ARG_SCRATCHPAD, scratch(product.scratchBytes));
  if (bias) product.set(DNNL_ARG_BIAS, bias);
  product.primitive.execute(stream, product.arguments);
}

bool multipliesBfloat16() { return dnnl::get_effective_cpu_isa() >= dnnl::cpu_isa::avx512_core; }

const char* matmulLibrary() {
  static const std::string name = [] {
    const auto* v = dnnl::version();
    return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
  }();
  return name.c_str();
}

#else

void multiply(const Matrix& a, const Matrix& b, const Matrix& c, const float* bias, bool accumulate) {
  const at::NoGradGuard guard;
  const auto tensor = [](const Matrix& m) {
    return at::from_blob(m.data, {m.rows, m.columns}, {m.rowStride, m.columnStride}, at::TensorOptions().dtype(m.type));
  };
  at::Tensor into = tensor(c);
  at::Tensor product = at::mm(tensor(a), tensor(b));
  if (bias) product = product + at::from_blob(const_cast<float*>(bias), {c.columns}, at::TensorOptions().dtype(at::kFloat));
  if (accumulate) into.add_(product);
  else into.copy_(product);
}

bool multipliesBfloat16() { return true; }

const char* matmulLibrary() { return "ATen"; }

#endif
