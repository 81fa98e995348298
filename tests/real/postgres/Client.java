import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Statement;
import java.sql.Timestamp;
import java.util.ArrayList;
import java.util.List;
import java.util.StringJoiner;

/** PostgreSQL's JDBC driver. Prints one JSON object. */
public class Client {
    public static void main(String[] arguments) throws Exception {
        try (Connection connection = DriverManager.getConnection(arguments[0], "me", "")) {
            DatabaseMetaData meta = connection.getMetaData();
            List<String> columns = new ArrayList<>();
            try (ResultSet rows = meta.getColumns(null, "public", "spans", "%")) {
                while (rows.next()) {
                    columns.add(quoted(rows.getString("COLUMN_NAME")) + ": " + quoted(rows.getString("TYPE_NAME")));
                }
            }
            String tables = names(meta.getTables(null, "public", "%", null), "TABLE_NAME");
            String schemas = names(meta.getSchemas(), "TABLE_SCHEM");
            int keys = count(meta.getPrimaryKeys(null, "public", "spans"));
            int types = count(meta.getTypeInfo());
            int none = count(meta.getIndexInfo(null, "public", "spans", false, true))
                    + count(meta.getImportedKeys(null, "public", "spans")) + count(meta.getExportedKeys(null, "public", "spans"))
                    + count(meta.getProcedures(null, "public", "%"));
            String functions = names(meta.getFunctions(null, "public", "%"), "FUNCTION_NAME");
            int prepared;
            String question = "SELECT name, start_time FROM spans WHERE service_name = ? AND start_time > ? AND duration_ns > ?";
            try (PreparedStatement statement = connection.prepareStatement(question)) {
                statement.setString(1, arguments[1]);
                statement.setTimestamp(2, new Timestamp(0));
                statement.setLong(3, 0);
                // From the fifth time on the driver names it, and asks for binary.
                for (int n = 0; n < 6; n++) {
                    statement.executeQuery().close();
                }
                prepared = count(statement.executeQuery());
            }
            connection.setAutoCommit(false);
            int rows;
            try (Statement statement = connection.createStatement()) {
                statement.setFetchSize(7);
                rows = count(statement.executeQuery("SELECT name FROM spans WHERE service_name = '" + arguments[1] + "'"));
            }
            connection.commit();
            System.out.println("{\"rows\": " + rows + ", \"prepared\": " + prepared + ", \"keys\": " + keys + ", \"types\": "
                    + types + ", \"none\": " + none + ", \"functions\": " + functions + ", \"tables\": " + tables + ", \"schemas\": " + schemas + ", \"columns\": {"
                    + String.join(", ", columns) + "}}");
        }
    }

    private static int count(ResultSet rows) throws Exception {
        int count = 0;
        while (rows.next()) {
            count++;
        }
        rows.close();
        return count;
    }

    private static String names(ResultSet rows, String column) throws Exception {
        StringJoiner names = new StringJoiner(", ", "[", "]");
        while (rows.next()) {
            names.add(quoted(rows.getString(column)));
        }
        rows.close();
        return names.toString();
    }

    private static String quoted(String text) {
        return "\"" + text + "\"";
    }
}
