#include "headstart/moments/fit_method.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/gaussians.h"
#include "headstart/error.h"

namespace headstart {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr double kGB = 1e9;

TEST(PlanFit, IsDenseWhereTheCovarianceAndItsEigenvectorsFit) {
  const FitDemand demand{.dim = 784, .count = 60000, .memory = kGB};
  EXPECT_EQ(plan_fit(demand).method, FitMethod::dense);
  FitDemand exact = demand;
  exact.dim = 20000;
  exact.rank = 5;
  exact.memory = dense_fit_bytes(20000);
  EXPECT_EQ(plan_fit(exact).method, FitMethod::dense);
  exact.memory -= 1;
  EXPECT_EQ(plan_fit(exact).method, FitMethod::randomised);
}

TEST(PlanFit, DependsOnDimensionRankAndMemoryAlone) {
  const FitPlan plan = plan_fit({.dim = 196608, .count = 50000, .rank = 256, .memory = 8 * kGB});
  EXPECT_EQ(plan.method, FitMethod::randomised);
  EXPECT_EQ(plan.columns, 512);
  EXPECT_EQ(plan.bytes, randomised_fit_bytes(196608, 512));
  EXPECT_LT(plan.bytes, 3 * kGB);
  EXPECT_EQ(plan_fit({.dim = 196608, .count = 50000, .rank = 3, .memory = 8 * kGB}).columns, 3 + 16);
  EXPECT_EQ(plan_fit({.dim = 196608, .count = 301, .rank = 256, .memory = 8 * kGB}).columns, 300);  // centred points span no more
}

TEST(PlanFit, TakesFewerColumnsWhereMemoryIsShortAndRefusesTooFew) {
  FitDemand demand{.dim = 196608, .count = 50000, .rank = 256};
  demand.memory = randomised_fit_bytes(196608, 300);
  EXPECT_EQ(plan_fit(demand).columns, 300);
  demand.memory = randomised_fit_bytes(196608, 263);
  EXPECT_THAT(message_of<InvalidArgument>([&] { plan_fit(demand); }),
              AllOf(HasSubstr("--memory: expected at least"), HasSubstr("rank 256")));
}

TEST(PlanFit, DoesAsTheMethodSaysWithinTheMemory) {
  FitDemand demand{.dim = 784, .count = 60000, .rank = 50, .memory = kGB, .method = FitMethod::randomised};
  EXPECT_EQ(plan_fit(demand).method, FitMethod::randomised);
  demand.method = FitMethod::dense;
  EXPECT_EQ(plan_fit(demand).method, FitMethod::dense);
  demand.dim = 196608;
  EXPECT_THAT(message_of<InvalidArgument>([&] { plan_fit(demand); }), HasSubstr("--method: dense takes 1.24e+03 GB for D = 196608"));
}

TEST(PlanFit, AsksForARankAndSaysWhatTheDenseFitWouldTake) {
  EXPECT_THAT(message_of<InvalidArgument>([] { plan_fit({.dim = 196608, .count = 1000, .memory = 8 * kGB}); }),
              AllOf(HasSubstr("--rank: expected the number of eigenvectors"), HasSubstr("1.24e+03 GB"), HasSubstr("--memory allows 8 GB")));
  EXPECT_THAT(
      message_of<InvalidArgument>([] { plan_fit({.dim = 784, .count = 1000, .memory = 8 * kGB, .method = FitMethod::randomised}); }),
      HasSubstr("--rank: expected the number of eigenvectors to keep, which --method randomised needs"));
  EXPECT_THAT(message_of<InvalidArgument>([] { plan_fit({.dim = 196608, .count = 100, .rank = 100, .memory = 8 * kGB}); }),
              HasSubstr("--rank: expected at most 99 for 100 points in 196608 dimensions, got 100"));
}

TEST(AvailableMemory, IsSomewhereBetweenAMegabyteAndAPetabyte) {
  EXPECT_GT(available_memory(), 1e6);
  EXPECT_LT(available_memory(), 1e15);
}

}  // namespace
}  // namespace headstart
