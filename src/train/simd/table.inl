// The table of one instruction set, made of the pieces that are included before.

struct Table : GradientKernels {
  Table() : GradientKernels{} {
    fill_rows(*this);
    fill_products(*this);
  }
};
