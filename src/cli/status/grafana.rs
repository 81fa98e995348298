//! Where the dashboards are, and the password with which to come in for the first time.

use crate::config::Grafana;

/// A line or two; nothing if there is no Grafana.
pub fn render(grafana: &Grafana) -> String {
    let Some(url) = &grafana.url else { return String::new() };
    let Some(file) = &grafana.admin_password_file else { return format!("\nGrafana: {url}\n") };
    match std::fs::read_to_string(file) {
        Ok(password) => format!("\nGrafana: {url}, user admin, first password {}\n", password.trim_end()),
        Err(error) => format!("\nGrafana: {url}, user admin, first password in {} ({error})\n", file.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_shown_to_those_who_can_read_it() {
        assert_eq!(render(&Grafana::default()), "");
        let url = Some("http://127.0.0.1:3000".to_owned());
        assert_eq!(render(&Grafana { url: url.clone(), ..Grafana::default() }), "\nGrafana: http://127.0.0.1:3000\n");
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        let grafana = Grafana { url, admin_password_file: Some(file.clone()) };
        assert_eq!(
            render(&grafana),
            format!(
                "\nGrafana: http://127.0.0.1:3000, user admin, first password in {} (No such file or directory (os error 2))\n",
                file.display()
            )
        );
        std::fs::write(&file, "s3cret\n").unwrap();
        assert_eq!(render(&grafana), "\nGrafana: http://127.0.0.1:3000, user admin, first password s3cret\n");
    }
}
