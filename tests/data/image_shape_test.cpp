#include "headstart/data/image_shape.h"

#include "data_test.h"

namespace headstart {
namespace {

TEST(ImageShape, IsWrittenAndReadBack) {
  const ImageShape shape{.channels = 3, .height = 28, .width = 32};
  EXPECT_EQ(to_string(shape), "3,28,32");
  EXPECT_EQ(parse_image_shape("3,28,32"), shape);
  EXPECT_EQ(shape.dim(), 3 * 28 * 32);
}

TEST(ImageShape, RefusesWhatIsNotThreePositiveIntegers) {
  for (const char* const text : {"", "1", "1,2", "1,2,", "1,2,3,", "1,2,3,4", "0,2,3", "1,-2,3", "1, 2,3", "1,2,x", "1;2;3", "1,2,3 ",
                                 "+1,2,3", "99999999999999999999,1,1", "4000000000,4000000000,4000000000"}) {
    expect_error<InvalidArgument>({"[parse_image_shape] expected three positive integers", std::string("got \"") + text + '"'},
                                  [&] { parse_image_shape(text); });
  }
}

}  // namespace
}  // namespace headstart
