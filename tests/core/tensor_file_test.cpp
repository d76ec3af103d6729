#include "headstart/core/tensor_file.h"

#include <torch/torch.h>

#include "../data/data_test.h"
#include "headstart/data/safetensors.h"

namespace headstart {
namespace {

using torch::Tensor;

TEST(TensorFile, ReturnsTensorsOfEveryDtypeBitForBit) {
  const TempDir folder;
  const std::string path = folder / "x.safetensors";
  const Tensor values = torch::tensor({-2.5, 0.0, 1.0 / 3.0, 100.0, -7.0, 1e-3}, torch::kFloat64).view({2, 3});
  NamedTensors tensors;
  for (const auto type : {torch::kFloat64, torch::kFloat32, torch::kFloat16, torch::kBFloat16, torch::kInt64, torch::kInt32, torch::kInt16,
                          torch::kInt8, torch::kBool})
    tensors.emplace_back(c10::toString(type), values.to(type));
  tensors.emplace_back("Byte", values.abs().to(torch::kUInt8));
  write_tensors(path, tensors, {{"key", "value"}});
  const SafetensorsFile file(path);
  EXPECT_EQ(file.metadata("key"), "value");
  EXPECT_EQ(file.names().size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    const Tensor back = to_tensor(file.get(name));
    EXPECT_EQ(back.scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(torch::equal(back, tensor)) << name;
  }
}

TEST(TensorFile, KeepsScalarsAndEmptyTensors) {
  const TempDir folder;
  const std::string path = folder / "x.safetensors";
  write_tensors(path, {{"scalar", torch::tensor(2.5)}, {"empty", torch::empty({0, 3})}}, {});
  const SafetensorsFile file(path);
  EXPECT_EQ(to_tensor(file.get("scalar")).dim(), 0);
  EXPECT_EQ(to_tensor(file.get("scalar")).item<float>(), 2.5F);
  EXPECT_EQ(to_tensor(file.get("empty")).sizes().vec(), (std::vector<std::int64_t>{0, 3}));
}

TEST(TensorFile, WritesViewsAndTensorsWithGradientsByValue) {
  const TempDir folder;
  const std::string path = folder / "x.safetensors";
  const Tensor base = torch::arange(12, torch::kFloat32).view({3, 4}).requires_grad_();
  const Tensor image = torch::arange(24, torch::kFloat32).view({1, 2, 3, 4});
  write_tensors(path, {{"transposed", base.t()}, {"column", base.select(1, 2)}, {"nhwc", image.contiguous(at::MemoryFormat::ChannelsLast)}},
                {});
  const SafetensorsFile file(path);
  EXPECT_TRUE(torch::equal(to_tensor(file.get("transposed")), base.detach().t()));
  EXPECT_TRUE(torch::equal(to_tensor(file.get("column")), base.detach().select(1, 2)));
  EXPECT_TRUE(torch::equal(to_tensor(file.get("nhwc")), image));
}

TEST(TensorFile, CopiesOutOfTheFile) {
  const TempDir folder;
  Tensor kept;
  {
    write_tensors(folder / "x", {{"t", torch::ones({4})}}, {});
    const SafetensorsFile file(folder / "x");
    kept = to_tensor(file.get("t"));
    kept.add_(1);
    EXPECT_EQ(to_tensor(file.get("t")).sum().item<float>(), 4);
  }
  EXPECT_EQ(kept.sum().item<float>(), 8);
}

TEST(TensorFile, RefusesDtypesThatOneSideLacks) {
  const std::vector<std::byte> bytes(8);
  expect_error<InvalidArgument>({"[to_tensor]", "U32"}, [&] { to_tensor(ArrayView(DType::U32, {2}, bytes)); });
  const TempDir folder;
  expect_error<InvalidArgument>({"[write_tensors]", "ComplexFloat", "z"}, [&] {
    write_tensors(folder / "x", {{"z", torch::zeros({2}, torch::kComplexFloat)}}, {});
  });
  EXPECT_TRUE(list(folder).empty());
}

TEST(TensorFile, NamesTheFileThatCannotBeWritten) {
  const std::string path = "/nonexistent/folder/x.safetensors";
  expect_data_error(path, "", [&] { write_tensors(path, {{"t", torch::ones({1})}}, {}); });
}

}  // namespace
}  // namespace headstart
