//! What people see.

use axum::response::Html;

/// `GET /`: Trow's welcome, word for word, because people grep for it.
pub async fn welcome() -> Html<&'static str> {
    Html(
        "<!DOCTYPE html><html><body>\n<h1>Welcome to Trow, the cluster registry</h1>\n</body></html>\n",
    )
}
