#include "matmul.h"

#include <ATen/ATen.h>

#include "compat.h"

Matrix matrixOf(const at::Tensor& tensor) {
  TORCH_INTERNAL_ASSERT(tensor.is_contiguous());
  const int64_t columns = tensor.dim() ? tensor.size(-1) : 1;
  return {tensor.data_ptr(), tensor.scalar_type(), columns ? tensor.numel() / columns : 0, columns, columns, 1, tensor.device()};
}

at::Tensor tensorOf(const Matrix& m) {
  const int64_t sizes[] = {m.rows, m.columns}, strides[] = {m.rowStride, m.columnStride};
  return at::for_blob(m.data, sizes)
      .strides(strides)
      .options(at::TensorOptions().dtype(m.type).device(m.device))
      .target_device(m.device)
      .make_tensor();
}

#if defined(TAPER_MKLDNN) && defined(__x86_64__)
#include "mkldnn.h"

// Whether a product goes to the oneDNN inside libtorch. Those of bfloat16 do so by themselves; those of float32 go to the BLAS there,
// which is MKL in the builds for Python, slow on processors that are not Intel's. oneDNN prepares each product anew: a small one
// takes longer for it.
static bool isForOneDnn(const at::Tensor& x, const at::Tensor& y) {
  constexpr int64_t worthIt = 4'000'000;  // multiplications
  static const bool runs = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  return runs && x.is_cpu() && x.scalar_type() == at::kFloat && x.numel() * y.size(1) >= worthIt;
}
#endif

// into = x·y + row, or into += x·y + row, all of one type; `row` may be undefined.
static void product(at::Tensor& into, const at::Tensor& x, const at::Tensor& y, const at::Tensor& row = {}, bool accumulate = false) {
#if defined(TAPER_MKLDNN) && defined(__x86_64__)
  if (isForOneDnn(x, y)) {
    if (row.defined()) accumulate ? into.add_(row) : into.copy_(row.expand_as(into));
    return at::native::mkldnn_matmul(x, y, into, accumulate || row.defined(), 1);
  }
#endif
  if (accumulate) {
    into.addmm_(x, y);
    if (row.defined()) into.add_(row);
  } else if (row.defined()) {
    at::addmm_out(into, row.to(into.scalar_type()), x, y);
  } else {
    at::mm_out(into, x, y);
  }
}

// into = x·y in float32 of two matrices of half precision: on a GPU without rounding it on the way, where libtorch can.
static void wideProduct(at::Tensor& into, const at::Tensor& x, const at::Tensor& y) {
#if TAPER_TORCH_AT_LEAST(2, 8)
  if (x.is_cuda()) {
    at::mm_out(into, x, y, at::kFloat);
    return;
  }
#endif
  at::Tensor rounded = at::empty({x.size(0), y.size(1)}, x.options());
  product(rounded, x, y);
  into.copy_(rounded);
}

static void multiplyWithoutOneDnn(const Matrix& a, const Matrix& b, const Matrix& c, const void* bias, bool accumulate) {
#ifdef TAPER_CUDA
  if (multiplyOnGpu(a, b, c, bias, accumulate)) return;
#endif
  const at::NoGradGuard guard;
  at::Tensor into = tensorOf(c);
  const at::Tensor x = tensorOf(a), y = tensorOf(b);
  const auto rowType = c.device.is_cpu() ? at::kFloat : c.type;
  const at::Tensor row =
      bias ? tensorOf({const_cast<void*>(bias), rowType, 1, c.columns, c.columns, 1, c.device}).select(0, 0) : at::Tensor();
  if (a.type == c.type) {
    product(into, x, y, row, accumulate);
  } else {
    at::Tensor wide = accumulate ? at::empty_like(into) : into;
    wideProduct(wide, x, y);
    if (bias) wide.add_(row);
    if (accumulate) into.add_(wide);
  }
}

#ifdef TAPER_ONEDNN
#include <omp.h>

#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

namespace {

using dnnl::memory;

dnnl::engine& engine() {
  static dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

memory::data_type typeOf(const Matrix& m) { return m.type == at::kBFloat16 ? memory::data_type::bf16 : memory::data_type::f32; }
memory::desc describe(const Matrix& m) { return {{m.rows, m.columns}, typeOf(m), memory::dims{m.rowStride, m.columnStride}}; }

// A product of one shape, ready to run on the thread that made it once its memory is set.
struct Product {
  dnnl::matmul primitive;
  memory a, b, c, scratch, bias;
  memory::desc layout;  // of b
  size_t scratchBytes;
  std::vector<dnnl_exec_arg_t> arguments;
};

// With `anyLayout` the library chooses how b is laid out.
Product prepare(const Matrix& a, const Matrix& b, const Matrix& c, bool hasBias, bool accumulate, bool anyLayout) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (accumulate) {
    dnnl::post_ops sum;
    sum.append_sum(1);
    attributes.set_post_ops(sum);
  }
  const memory::desc wanted = anyLayout ? memory::desc({b.rows, b.columns}, typeOf(b), memory::format_tag::any) : describe(b);
  const memory::desc biasRow = hasBias ? memory::desc({1, c.columns}, memory::data_type::f32, memory::format_tag::ab) : memory::desc();
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc description(engine(), describe(a), wanted, biasRow, describe(c), attributes);
#else
  const dnnl::matmul::primitive_desc description({describe(a), wanted, biasRow, describe(c)}, attributes, engine());
#endif
  const auto unset = [&](const memory::desc& d) { return memory(d, engine(), nullptr); };
  const memory::desc layout = description.weights_desc(), scratch = description.scratchpad_desc();
  Product product{dnnl::matmul(description),
                  unset(describe(a)),
                  unset(layout),
                  unset(describe(c)),
                  unset(scratch),
                  hasBias ? unset(biasRow) : memory(),
                  layout,
                  scratch.get_size(),
                  {}};
  product.arguments = {{DNNL_ARG_SRC, product.a.get()},
                       {DNNL_ARG_WEIGHTS, product.b.get()},
                       {DNNL_ARG_DST, product.c.get()},
                       {DNNL_ARG_SCRATCHPAD, product.scratch.get()}};
  if (hasBias) product.arguments.push_back({DNNL_ARG_BIAS, product.bias.get()});
  return product;
}

// Working memory that oneDNN wants while a product runs; one for each thread, as large as the largest product asked for.
void* scratch(size_t bytes) {
  static thread_local at::Tensor room;
  if (!room.defined() || room.nbytes() < bytes) room = at::empty({static_cast<int64_t>(bytes)}, at::kByte);
  return room.data_ptr();
}

dnnl::stream& stream() {
  static thread_local dnnl::stream cpu(engine());
  return cpu;
}

Product& productOf(const Matrix& a, const Matrix& b, const Matrix& c, bool hasBias, bool accumulate, bool anyLayout) {
  // How a product is cut into tasks depends on the threads it may use: one inside somebody else's parallel loop.
  using Key = std::array<int64_t, 11>;
  struct Hash {
    size_t operator()(const Key& key) const {
      size_t hash = 0;
      for (const int64_t part : key) hash = (hash ^ static_cast<size_t>(part)) * 0x9E3779B97F4A7C15u;
      return hash ^ hash >> 32;
    }
  };
  static thread_local std::unordered_map<Key, Product, Hash> products;
  const Shape shape = shapeOf(a, b, c);
  Key key;
  std::copy(shape.begin(), shape.end(), key.begin());
  key[9] = (a.type == at::kBFloat16) + 2 * (c.type == at::kBFloat16) + 4 * hasBias + 8 * accumulate + 16 * anyLayout;
  key[10] = omp_in_parallel() ? 1 : omp_get_max_threads();
  const auto found = products.find(key);
  if (found != products.end()) return found->second;
  constexpr size_t most = 1024;
  if (products.size() >= most) products.clear();
  return products.emplace(key, prepare(a, b, c, hasBias, accumulate, anyLayout)).first->second;
}

void run(Product& product, const Matrix& a, const void* b, const Matrix& c, const void* bias) {
  product.a.set_data_handle(a.data);
  product.b.set_data_handle(const_cast<void*>(b));
  product.c.set_data_handle(c.data);
  product.scratch.set_data_handle(scratch(product.scratchBytes));
  if (bias) product.bias.set_data_handle(const_cast<void*>(bias));
  // dnnl::primitive::execute would make this list of arguments anew each time.
  dnnl::error::wrap_c_api(dnnl_primitive_execute(product.primitive.get(), stream().get(), static_cast<int>(product.arguments.size()),
                                                 product.arguments.data()),
                          "could not multiply");
}

}  // namespace

struct Layout {
  memory::desc description;
  at::Tensor bytes;
};

void multiply(const Matrix& a, const Matrix& b, const Matrix& c, const void* bias, bool accumulate) {
  if (!a.device.is_cpu()) return multiplyWithoutOneDnn(a, b, c, bias, accumulate);
  run(productOf(a, b, c, bias != nullptr, accumulate, false), a, b.data, c, bias);
}

void multiply(const Matrix& a, Factor& b, const Matrix& c, const void* bias) {
  // With fewer rows, laying the factor out takes longer than it saves; in float32 it saves a fiftieth at most.
  constexpr int64_t worthIt = 512;
  if (!a.device.is_cpu() || a.rows < worthIt || a.type != at::kBFloat16) return multiply(a, b.plain, c, bias);
  Product& product = productOf(a, b.plain, c, bias != nullptr, false, true);
  if (!b.layout || b.layout->description != product.layout) {
    const auto bytes = at::empty({static_cast<int64_t>(product.layout.get_size())}, at::kByte);
    memory from(describe(b.plain), engine(), b.plain.data), into(product.layout, engine(), bytes.data_ptr());
    dnnl::reorder(from, into).execute(stream(), from, into);
    b.layout = std::make_shared<Layout>(Layout{product.layout, bytes});
  }
  run(product, a, b.layout->bytes.data_ptr(), c, bias);
}

bool multipliesBfloat16() {  // a processor's instructions are bits, so that one that can more has more of them
  constexpr auto least = static_cast<unsigned>(dnnl::cpu_isa::avx512_core);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & least) == least;
}

const char* matmulLibrary() {
  static const std::string name = [] {
    const auto* v = dnnl::version();
    return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
  }();
  return name.c_str();
}

#else

void multiply(const Matrix& a, const Matrix& b, const Matrix& c, const void* bias, bool accumulate) {
  multiplyWithoutOneDnn(a, b, c, bias, accumulate);
}

void multiply(const Matrix& a, Factor& b, const Matrix& c, const void* bias) { multiply(a, b.plain, c, bias); }

bool multipliesBfloat16() { return true; }

const char* matmulLibrary() { return "ATen"; }

#endif
