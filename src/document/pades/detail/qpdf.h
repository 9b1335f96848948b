#pragma once

// qpdf asks each user to say that its retired smart pointer is not used; it warns otherwise.
#define POINTERHOLDER_TRANSITION 4

#include <qpdf/Constants.h>
#include <qpdf/InputSource.hh>
#include <qpdf/QPDF.hh>
#include <qpdf/QPDFExc.hh>
#include <qpdf/QPDFObjectHandle.hh>
